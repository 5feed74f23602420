// The pages of opbox: values in, HTML out. Whatever is not ours is escaped.
'use strict';

const { picture } = require('./pictures.js');

const STYLE = `
:root{--ink:#12303d;--sea:#0f6e78;--deep:#0b3a4a;--sand:#f6f1e7;--card:#fffdf8;--line:#e3dac8;--coral:#d9512c;--soft:#5d737b}
*{box-sizing:border-box}
body{margin:0;background:var(--sand);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
a{color:inherit}
.wrap{max-width:1040px;margin:0 auto;padding:0 20px}
header{background:var(--deep);color:#eaf4f3;padding:18px 0 44px}
.bar{display:flex;flex-wrap:wrap;gap:14px 28px;align-items:center}
.brand{display:flex;gap:12px;align-items:center;text-decoration:none;font:700 24px/1 Georgia,serif;margin-right:auto}
.brand svg{width:46px;height:34px}
.find{display:flex;flex:1 1 280px;max-width:440px}
input,button{font:inherit}
.find input{flex:1;min-width:0;border:0;border-radius:8px 0 0 8px;padding:10px 14px;background:#fff;color:var(--ink)}
.find button{border:0;border-radius:0 8px 8px 0;padding:10px 18px;background:var(--sea);color:#fff;cursor:pointer}
main.wrap{margin-top:-26px}
.hero{display:grid;grid-template-columns:minmax(220px,340px) 1fr;background:var(--card);border:1px solid var(--line);border-radius:14px;overflow:hidden;box-shadow:0 8px 24px #0b3a4a1f}
.hero .pic{background:#d8e8e6;display:grid;place-items:center;padding:24px}
.hero .pic svg{width:100%;max-width:230px}
.hero .say{padding:28px 30px}
.tag{font-size:13px;font-weight:600;letter-spacing:.08em;text-transform:uppercase;color:var(--sea);margin:0}
h1{font:700 34px/1.15 Georgia,serif;margin:6px 0 10px}
h2{font:700 22px/1.2 Georgia,serif;margin:36px 0 14px}
.price{font-weight:700;white-space:nowrap;font-variant-numeric:tabular-nums}
.hero .price{font-size:22px}
.buy{display:flex;gap:10px;align-items:center;flex-wrap:wrap;margin-top:18px}
.buy input{width:72px;padding:10px;border:1px solid var(--line);border-radius:8px;background:#fff;color:var(--ink)}
.go{display:inline-block;border:0;border-radius:8px;padding:11px 26px;background:var(--coral);color:#fff;font-weight:600;text-decoration:none;cursor:pointer}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(210px,1fr));gap:16px;margin:0;padding:0;list-style:none}
.grid a{display:block;background:var(--card);border:1px solid var(--line);border-radius:12px;overflow:hidden;text-decoration:none;height:100%}
.grid a:hover,.grid a:focus-visible{border-color:var(--sea);box-shadow:0 4px 14px #0b3a4a24}
.grid .pic{display:grid;place-items:center;background:#e8efe9;padding:16px}
.grid .pic svg{width:96px;height:96px}
.grid .row{display:flex;justify-content:space-between;gap:10px;padding:12px 14px}
.none{background:var(--card);border:1px dashed var(--line);border-radius:12px;padding:26px;color:var(--soft)}
footer.wrap{margin-top:40px;padding-bottom:32px;color:var(--soft);font-size:14px}
footer p{border-top:1px solid var(--line);padding-top:18px;margin:0 0 8px}
.way{display:flex;flex-wrap:wrap;gap:6px;align-items:center;margin:6px 0}
.way b{font:600 13px/1 ui-monospace,Menlo,Consolas,monospace;background:var(--card);border:1px solid var(--line);border-radius:99px;padding:6px 11px;color:var(--ink)}
.note{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:34px;box-shadow:0 8px 24px #0b3a4a1f}
.note code{overflow-wrap:anywhere}
@media(max-width:640px){.hero{grid-template-columns:1fr}.hero .pic{padding:14px}.hero .pic svg{max-width:150px}.hero .say{padding:20px}h1{font-size:27px}.find{flex-basis:100%;max-width:none}.grid{grid-template-columns:1fr 1fr;gap:10px}.grid .pic svg{width:76px;height:76px}.grid .row{flex-direction:column;gap:0;padding:10px 12px}}
`;

const CANOE = '<svg viewBox="0 0 46 34" aria-hidden="true"><path d="M21 2v17H8z" fill="#f3b95f"/><path d="M23 5v14h11z" fill="#eaf4f3"/><path d="M2 21h38c-2 5-6 7-11 7H13c-6 0-9-3-11-7z" fill="#d9512c"/><path d="M17 31h26" stroke="#7fc4c3" stroke-width="3" stroke-linecap="round"/></svg>';

const MARKS = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escaped = (text) => String(text).replace(/[&<>"']/g, (mark) => MARKS[mark]);
const euros = (cents) => `€ ${(cents / 100).toFixed(2)}`;

const head = (title) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${title}</title><link rel="icon" href="data:,"><style>${STYLE}</style></head><body>`;
const SHOP_HEAD = head('The Boathouse');

const header = (words) => `
<header><div class="wrap bar"><a class="brand" href="/">${CANOE}The Boathouse</a>
<form class="find" action="/" role="search"><input name="q" type="search" value="${escaped(words)}" placeholder="Search the shop" aria-label="Search the shop"><button>Search</button></form></div></header>
<main class="wrap">`;

/** Who answered: one line per way that a call went. */
const footer = (ways) => `
</main><footer class="wrap"><p>Who answered</p>${ways
  .map((way) => `<div class="way">${way.map((name) => `<b>${escaped(name)}</b>`).join('<span>→</span>')}</div>`)
  .join('')}</footer></body></html>
`;

const card = ({ id, name, cents }, again) =>
  `<li><a href="/?item=${encodeURIComponent(id)}${again}"><span class="pic">${picture(id)}</span><span class="row"><span>${escaped(name)}</span><span class="price">${euros(cents)}</span></span></a></li>`;

function grid(found, words) {
  if (found.length === 0) return '<p class="none">Nothing matches. Try “mooring”, “tea” or “navigation”.</p>';
  const again = words ? `&amp;q=${encodeURIComponent(words)}` : '';
  return `<ul class="grid">${found.map((one) => card(one, again)).join('')}</ul>`;
}

/** The shop: one item in full, the items that match, and who answered. */
function shopPage({ words, today, shown, found, order }, ways) {
  return `${SHOP_HEAD}${header(words)}
<section class="hero"><div class="pic">${picture(shown.id)}</div><div class="say"><p class="tag">${today ? 'Item of the day' : 'In stock'}</p>
<h1>${escaped(shown.name)}</h1><p>${escaped(shown.text)}</p><span class="price">${euros(shown.cents)}</span>
<form class="buy" method="post" action="/buy"><input type="hidden" name="id" value="${order}"><input type="hidden" name="item" value="${escaped(shown.id)}"><input name="quantity" type="number" min="1" max="99" value="1" aria-label="How many"><button class="go">Buy</button></form></div></section>
<h2>${words ? `Matching “${escaped(words)}”` : 'On the shelves'}</h2>
${grid(found, words)}${footer(ways)}`;
}

/** What was bought. */
function receiptPage({ id, item, quantity }, ways) {
  return `${SHOP_HEAD}${header('')}
<section class="note"><p class="tag">Thank you</p><h1>${quantity} × ${escaped(item)} is yours</h1>
<p>Your order is <code>${escaped(id)}</code>.</p><a class="go" href="/">Back to the shop</a></section>${footer(ways)}`;
}

/** What went wrong, in the words of whoever knows. */
function errorPage(status, why, instance) {
  const title = status < 500 ? 'That did not work' : 'The shop is having trouble';
  return `${SHOP_HEAD}${header('')}
<section class="note"><p class="tag">${status}</p><h1>${title}</h1>
<p><code>${escaped(why)}</code></p><a class="go" href="/">Back to the shop</a></section>${footer([[instance]])}`;
}

module.exports = { shopPage, receiptPage, errorPage };
