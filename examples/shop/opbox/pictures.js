// One small drawing per item, so that the page needs nothing from elsewhere.
'use strict';

const INK = '#12303d';
const line = (width, colour = INK) => `fill="none" stroke="${colour}" stroke-width="${width}" stroke-linecap="round" stroke-linejoin="round"`;

const DRAWINGS = {
  paddle: `<g transform="rotate(38 50 50)"><path d="M50 12v52" ${line(5, '#a8713a')}/><path d="M43 12h14" ${line(6, '#a8713a')}/><path d="M42 60q-4 26 8 32q12-6 8-32q-8-6-16 0z" fill="#c98d4b"/><path d="M50 62v24" ${line(2, '#a8713a')}/></g>`,
  lantern: `<path d="M34 30q16-28 32 0" ${line(3)}/><path d="M38 26h24l4 8H34z" fill="#d9512c"/><path d="M36 34h28l4 38H32z" fill="#fbe7b2"/><path d="M50 44q11 12 0 22q-11-10 0-22z" fill="#f0a030"/><path d="M36 34l-4 38M64 34l4 38M50 34v6" ${line(3)}/><path d="M28 72h44v12H28z" fill="#d9512c"/>`,
  rope: `<g ${line(7, '#c99b5a')}><ellipse cx="50" cy="64" rx="32" ry="14"/><ellipse cx="50" cy="54" rx="27" ry="12"/><ellipse cx="50" cy="44" rx="22" ry="10"/><path d="M72 44q12-14-4-22"/></g><circle cx="62" cy="20" r="6" ${line(4, '#a8713a')}/>`,
  compass: `<circle cx="50" cy="50" r="36" fill="#d9a441"/><circle cx="50" cy="50" r="29" fill="#fffdf8"/><path d="M50 26v6M50 68v6M26 50h6M68 50h6" ${line(3)}/><path d="M62 34L54 54 46 46z" fill="#d9512c"/><path d="M38 66l8-20 8 8z" fill="${INK}"/>`,
  kettle: `<path d="M32 38q18-30 36 0" ${line(4)}/><path d="M68 56q14 0 18-16" ${line(6, '#0f6e78')}/><path d="M28 44q22-14 44 0l8 34q-30 8-60 0z" fill="#0f6e78"/><path d="M32 42q18-9 36 0" ${line(3, '#0b3a4a')}/><circle cx="50" cy="34" r="4" fill="${INK}"/><path d="M32 56q-3 8-3 14" ${line(3, '#7fc4c3')}/>`,
  buoy: `<path d="M14 74q9-7 18 0t18 0 18 0 18 0" ${line(4, '#0f6e78')}/><circle cx="50" cy="46" r="27" fill="#d9512c"/><path d="M24 40q26-10 52 0v12q-26-10-52 0z" fill="#fffdf8"/><path d="M50 19v-9" ${line(5)}/><path d="M26 86q8-6 16 0t16 0 16 0" ${line(3, '#7fc4c3')}/>`,
  chart: `<path d="M14 26l24-8 24 8 24-8v56l-24 8-24-8-24 8z" fill="#fffdf8"/><path d="M14 52q14-14 24-6t24-8 24-4v40l-24 8-24-8-24 8z" fill="#9fcfcd"/><path d="M38 18v56M62 26v56" ${line(2, '#c9bda4')}/><path d="M24 68l12-8 14 4 18-16" ${line(3, '#d9512c')} stroke-dasharray="1 6"/><path d="M66 40l8 8M74 40l-8 8" ${line(3, '#d9512c')}/>`,
  anchor: `<circle cx="50" cy="20" r="8" ${line(5)}/><path d="M50 28v56M34 40h32" ${line(6)}/><path d="M18 58q4 26 32 27q28-1 32-27" ${line(6)}/><path d="M10 64l8-12 11 9zM90 64l-8-12-11 9z" fill="${INK}"/>`,
};

const BOX = '<path d="M22 36l28-14 28 14v32L50 82 22 68z" fill="#c98d4b"/><path d="M22 36l28 14 28-14M50 50v32" fill="none" stroke="#8a5a2b" stroke-width="3"/>';

/** The drawing of an item; a plain box for one that nobody has drawn. */
const DRAWN = new Map(Object.entries(DRAWINGS));
const picture = (id) => `<svg viewBox="0 0 100 100" aria-hidden="true">${DRAWN.get(id) ?? BOX}</svg>`;

module.exports = { picture };
