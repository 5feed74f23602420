// search: which items match some words.
//
// GET /search?q=WORDS   the ids that match, one a line; no words match all
// GET /health           200 when ready
'use strict';

const http = require('node:http');

const SERVICE = process.env.OUTRIGGER_SERVICE ?? 'search';
const INSTANCE = process.env.OUTRIGGER_INSTANCE ?? SERVICE;
const DRAIN_MS = 900;

// The index: what each item can be found by.
const INDEX = [
  ['paddle', 'ash paddle wood oar canoe'],
  ['lantern', 'storm lantern lamp light glass'],
  ['rope', 'mooring rope line deck'],
  ['compass', 'deck compass brass navigation'],
  ['kettle', 'galley kettle tea kitchen'],
  ['buoy', 'net buoy float red'],
  ['chart', 'coastal chart map paper navigation'],
  ['anchor', 'folding anchor iron mooring'],
].map(([id, words]) => [id, words.split(' ')]);

const ALL = INDEX.map(([id]) => id).join('\n') + '\n';

/** The ids for which each asked word begins one of the item's words. */
function search(query) {
  const asked = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (asked.length === 0) return ALL;
  return INDEX
    .filter(([, words]) => asked.every((a) => words.some((word) => word.startsWith(a))))
    .map(([id]) => id + '\n')
    .join('');
}

let draining = false;

function answer(response, status, body) {
  const head = {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'Shop-Instance': INSTANCE,
  };
  if (draining) head.Connection = 'close';
  response.writeHead(status, head);
  response.end(body);
}

const server = http.createServer((request, response) => {
  const [path, query] = request.url.split('?', 2);
  if (path === '/search') answer(response, 200, search(new URLSearchParams(query).get('q') ?? ''));
  else if (path === '/health') answer(response, 200, 'ok\n');
  else answer(response, 404, 'there is nothing here\n');
});
// Longer than any caller keeps an idle connection.
server.keepAliveTimeout = 300_000;

const port = Number(process.env.PORT);
if (!port) {
  console.error('search: PORT is not set; it names the port to listen on');
  process.exit(2);
}
server.on('error', (error) => {
  console.error(`${INSTANCE}: ${error.message}`);
  process.exit(1);
});
server.listen({ host: '127.0.0.1', port, backlog: 256 }, () => {
  console.log(`${INSTANCE}: listening on 127.0.0.1:${port}`);
});

// Requests in flight are answered, idle connections closed; then we leave.
function stop() {
  draining = true;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  setTimeout(() => process.exit(0), DRAIN_MS).unref();
}
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
