// opbox: the front end. It composes the page from item and listing, which it
// asks at the same time, and sends what is bought to transaction.
//
// GET  /?q=WORDS&item=ID   the page: items that match, one item in full
// POST /buy                id, item, quantity, as a form or as JSON
// GET  /health             200 when ready
'use strict';

const http = require('node:http');
const { randomUUID } = require('node:crypto');
const { shopPage, receiptPage, errorPage } = require('./page.js');

const SERVICE = process.env.OUTRIGGER_SERVICE ?? 'opbox';
const INSTANCE = process.env.OUTRIGGER_INSTANCE ?? SERVICE;
const CALL_TIMEOUT_MS = 5_000;
const DRAIN_MS = 900;
const BODY_LIMIT = 64 * 1024;

function needed(name, meaning) {
  const value = process.env[name];
  if (value) return value;
  console.error(`opbox: ${name} is not set; it names ${meaning}`);
  process.exit(2);
}

// Connections are kept for the next call, but not for as long as any server
// keeps them: a call never starts on a connection that is being closed.
const agent = new http.Agent({ keepAlive: true, maxFreeSockets: 64, timeout: 20_000 });

/** Another service: where it is, by the variable that is named after it. */
function dependency(name) {
  const url = new URL(needed(`${name.toUpperCase()}_URL`, `the address of ${name}`));
  return { name, at: { agent, hostname: url.hostname, port: url.port || 80 } };
}
const item = dependency('item');
const listing = dependency('listing');
const transaction = dependency('transaction');

/** A dependency that failed us, or refused what it was asked for. */
class Failed extends Error {
  constructor(service, status, why) {
    super(`${service.name} ${why}`);
    this.status = status;
  }
}

/** What a dependency's status means for our own answer. */
function statusOf(status) {
  if (status === 400 || status === 404) return status;
  return status === 503 || status === 429 ? 503 : 502;
}

/** What an answer that is not a success complains of, in as few words as it allows. */
function complaint(text) {
  try {
    const { error, detail, title } = JSON.parse(text);
    return String(error ?? detail ?? title ?? text).slice(0, 300);
  } catch {
    return text.slice(0, 300);
  }
}

/** One call: JSON in, JSON out. It carries the trace on, and nothing else. */
function call(service, trace, method, path, content) {
  return new Promise((resolve, reject) => {
    const headers = {};
    if (trace !== undefined) headers.traceparent = trace;
    const body = content === undefined ? undefined : JSON.stringify(content);
    if (body !== undefined) {
      headers['Content-Type'] = 'application/json';
      headers['Content-Length'] = Buffer.byteLength(body);
    }
    const request = http.request(
      { ...service.at, method, path, headers, timeout: CALL_TIMEOUT_MS },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (piece) => { text += piece; });
        response.on('error', (error) => reject(new Failed(service, 502, `broke off (${error.code})`)));
        response.on('end', () => {
          if (response.statusCode >= 300) {
            const why = `answered ${response.statusCode}: ${complaint(text)}`;
            return reject(new Failed(service, statusOf(response.statusCode), why));
          }
          try {
            resolve(JSON.parse(text));
          } catch {
            reject(new Failed(service, 502, 'answered something that is not JSON'));
          }
        });
      },
    );
    request.on('timeout', () => request.destroy(new Error(`no answer within ${CALL_TIMEOUT_MS} ms`)));
    request.on('error', (error) => {
      reject(new Failed(service, 502, `did not answer (${error.code ?? error.message})`));
    });
    request.end(body);
  });
}

async function showShop(request, response, query) {
  const trace = request.headers.traceparent;
  const asked = new URLSearchParams(query);
  const words = asked.get('q') ?? '';
  const which = asked.get('item') || 'today';
  const [shown, found] = await Promise.all([
    call(item, trace, 'GET', `/items/${encodeURIComponent(which)}`),
    call(listing, trace, 'GET', `/listing?q=${encodeURIComponent(words)}`),
  ]);
  const page = { words, today: which === 'today', shown, found: found.items, order: randomUUID() };
  const answered = [
    [INSTANCE, shown.instance],
    [INSTANCE, found.instance, found.search],
  ];
  answer(response, 200, shopPage(page, answered));
}

function readBody(request) {
  return new Promise((resolve, reject) => {
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (piece) => {
      text += piece;
      if (text.length > BODY_LIMIT) {
        reject(Object.assign(new Error('the body is longer than 64 KiB'), { status: 413 }));
        request.destroy();
      }
    });
    request.on('end', () => resolve(text));
    request.on('error', () => reject(Object.assign(new Error('the body broke off'), { status: 400 })));
  });
}

/** The order that a form or a JSON body holds; transaction judges its values. */
function readOrder(request, text) {
  if (!(request.headers['content-type'] ?? '').startsWith('application/json')) {
    const form = new URLSearchParams(text);
    return {
      id: form.get('id') || randomUUID(),
      item: form.get('item') ?? '',
      quantity: Number(form.get('quantity') ?? 1),
    };
  }
  try {
    const { id = randomUUID(), item: what = '', quantity = 1 } = JSON.parse(text);
    return { id, item: what, quantity };
  } catch {
    throw Object.assign(new Error('the body is not a JSON object'), { status: 400 });
  }
}

async function buy(request, response) {
  const order = readOrder(request, await readBody(request));
  const done = await call(transaction, request.headers.traceparent, 'POST', '/transactions', order);
  answer(response, 200, receiptPage(done, [[INSTANCE, done.instance]]));
}

let draining = false;

function answer(response, status, body, kind = 'text/html; charset=utf-8') {
  if (response.headersSent || response.destroyed) return;
  const head = {
    'Content-Type': kind,
    'Content-Length': Buffer.byteLength(body),
    'Shop-Instance': INSTANCE,
  };
  if (draining) head.Connection = 'close';
  response.writeHead(status, head);
  response.end(body);
}

async function serve(request, response) {
  const [path, query] = request.url.split('?', 2);
  const reads = request.method === 'GET' || request.method === 'HEAD';
  try {
    if (path === '/' && reads) await showShop(request, response, query);
    else if (path === '/buy' && request.method === 'POST') await buy(request, response);
    else if (path === '/health') answer(response, 200, 'ok\n', 'text/plain');
    else answer(response, 404, errorPage(404, 'there is nothing at this address', INSTANCE));
  } catch (error) {
    const status = error.status ?? 500;
    if (status === 500) console.error(`${INSTANCE}:`, error);
    answer(response, status, errorPage(status, error.message, INSTANCE));
  }
}

const server = http.createServer(serve);
// Longer than any caller keeps an idle connection.
server.keepAliveTimeout = 300_000;

const port = Number(needed('PORT', 'the port to listen on'));
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
