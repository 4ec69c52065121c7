// A client for a front of a company's own. Needs nothing but `fetch`. What it takes and gives is in `index.d.ts`.

import { OPERATIONS } from './operations.js';

const MAX_ANSWER = 1 << 20;
const HERE = new Set(['localhost', '127.0.0.1', '[::1]']);
const BUSY = new Set(['waiting', 'need_more', 'applying']);

export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(`${status} ${body.code}: ${body.title}`);
    this.name = 'Problem';
    this.status = status;
    this.code = body.code;
    this.title = body.title;
    this.retryAfter = retryAfter;
    Object.defineProperty(this, 'body', { value: body }); // may hold the token of a half sign-in: not in logs
  }
}

export class NoAnswer extends Error {
  constructor(why) {
    super(why);
    this.name = 'NoAnswer';
  }
}

export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

function origin(url) {
  const at = new URL(url);
  if (at.protocol !== 'https:' && !(at.protocol === 'http:' && HERE.has(at.hostname))) {
    throw new TypeError('the address has to begin with https://');
  }
  if (at.pathname !== '/' || at.search || at.hash || at.username || at.password) {
    throw new TypeError('the address has to be like https://recover.example.com');
  }
  return at.origin;
}

/** A name as one part of a path; what would lead elsewhere is refused. */
function part(name) {
  if (typeof name !== 'string' || /^\.*$/.test(name.trim())) throw new TypeError(`${JSON.stringify(name)} is no name`);
  return encodeURIComponent(name);
}

async function read(response) {
  const text = await response.text();
  if (text.length > MAX_ANSWER) throw new NoAnswer('an answer of over 1 MiB');
  if (response.ok && !text) return undefined;
  let said;
  try {
    said = JSON.parse(text);
  } catch {
    throw new NoAnswer(`HTTP ${response.status} without JSON`);
  }
  if (said === null || typeof said !== 'object' || Array.isArray(said)) {
    throw new NoAnswer(`HTTP ${response.status}, which isn't Keyback's`);
  }
  if (response.ok) return said;
  if (typeof said.code !== 'string' || typeof said.title !== 'string') {
    throw new NoAnswer(`HTTP ${response.status}, which isn't Keyback's`);
  }
  const wait = response.headers.get('retry-after') ?? '';
  throw new Problem(response.status, said, /^\d{1,6}$/.test(wait) ? Number(wait) : 0);
}

export class Keyback {
  #base;
  #locale;
  #timeout;
  #fetch;

  constructor(url, { locale = 'en', timeout = 20000, fetch = globalThis.fetch } = {}) {
    this.#base = `${origin(url)}/api/v1`;
    this.#locale = locale;
    this.#timeout = timeout;
    this.#fetch = fetch;
  }

  async call(name, { path = {}, query = {}, body, bearer, once } = {}) {
    const [method, template] = OPERATIONS[name];
    const at = template.replace(/\{(\w+)\}/g, (_, key) => part(path[key]));
    const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
    const headers = { accept: 'application/json', 'accept-language': this.#locale };
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (bearer) headers.authorization = `Bearer ${bearer}`;
    if (once) headers['idempotency-key'] = once;
    let response;
    try {
      response = await this.#fetch(`${this.#base}${at}${asked && `?${asked}`}`, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        redirect: 'manual',
        credentials: 'omit',
        cache: 'no-store',
        signal: AbortSignal.timeout(this.#timeout),
      });
      return await read(response);
    } catch (e) {
      if (e instanceof Problem || e instanceof NoAnswer) throw e;
      throw new NoAnswer(e instanceof Error ? e.name : 'unknown'); // its text may hold what was sent
    }
  }

  async start(identifier, { once, ...more } = {}) {
    const body = { identifier, locale: this.#locale, ...more };
    const made = await this.call('startRecovery', { body, once: once ?? newKey() });
    return new Recovery(this, made.handle, made.secret);
  }

  resume(handle, secret) {
    return new Recovery(this, handle, secret);
  }
}

export class Recovery {
  #keyback;

  constructor(keyback, handle, secret) {
    this.#keyback = keyback;
    this.handle = handle;
    Object.defineProperty(this, 'secret', { value: secret }); // so that logging the object doesn't show it
  }

  call(name, { path = {}, ...given } = {}) {
    return this.#keyback.call(name, { ...given, path: { ...path, handle: this.handle }, bearer: this.secret });
  }

  status() {
    return this.call('getRecovery');
  }

  ask(proof, target = '') {
    return this.call('startProof', { path: { proof }, query: { target } });
  }

  verify(proof, code) {
    return this.call('verifyProof', { path: { proof }, body: { code } });
  }

  choosePassword(password, { accounts, once } = {}) {
    const body = { new_password: password, ...(accounts ? { accounts } : {}) };
    return this.call('choosePassword', { body, once: once ?? newKey() });
  }

  async settled({ timeout = 60000, every = 1000 } = {}) {
    const end = Date.now() + timeout;
    for (;;) {
      const found = await this.status();
      if (!BUSY.has(found.state)) return found;
      if (Date.now() + every > end) throw new NoAnswer(`still ${found.state}`);
      await new Promise((done) => setTimeout(done, every));
    }
  }

  cancel() {
    return this.call('cancelRecovery');
  }
}
