// Servers that lie, addresses that would not do, and secrets that show nowhere: `node --test clients/typescript`.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { Keyback, NoAnswer, Problem, newKey } from './index.js';

const SECRET = 's'.repeat(43);
const HANDLE = 'h'.repeat(22);

const against = (reply, options = {}) => {
  const asked = [];
  const fetch = async (url, init) => {
    asked.push({ url, ...init });
    return reply(url, init);
  };
  return { recovery: new Keyback('https://recover.example.com', { ...options, fetch }).resume(HANDLE, SECRET), asked };
};
const json = (body, status = 200, headers = {}) => new Response(JSON.stringify(body), { status, headers });

test("what is no answer of Keyback's is none, and shows no secret", async () => {
  const answers = [
    () => new Response("<html>a proxy's page</html>"),
    () => json(['a list']),
    () => json(null),
    () => new Response(' '.repeat((1 << 20) + 1)),
    () => new Response(null, { status: 302, headers: { location: 'https://evil.example.com/' } }),
    () => new Response('bad gateway', { status: 502 }),
    () => json({ code: 7, title: [] }, 400),
    () => { throw new TypeError(`no way to ${SECRET}`); },
  ];
  for (const reply of answers) {
    const { recovery, asked } = against(reply);
    await assert.rejects(recovery.status(), (e) => e instanceof NoAnswer && !inspect(e).includes(SECRET));
    assert.equal(asked.length, 1);
    assert.equal(asked[0].redirect, 'manual');
    assert.equal(asked[0].credentials, 'omit');
    assert.equal(asked[0].headers.authorization, `Bearer ${SECRET}`);
    assert.ok(!asked[0].url.includes(SECRET));
  }
});

test('a problem has its code, and the members that the API names', async () => {
  const body = { type: 'about:blank', title: 'Try again', status: 429, code: 'slow_down', tries_left: 2 };
  const { recovery } = against(() => json(body, 429, { 'retry-after': '60' }));
  await assert.rejects(recovery.verify('totp', '1'), (e) => {
    assert.ok(e instanceof Problem);
    assert.deepEqual([e.status, e.code, e.title, e.retryAfter, e.body.tries_left], [429, 'slow_down', 'Try again', 60, 2]);
    return true;
  });
  const { recovery: soon } = against(() => json(body, 503, { 'retry-after': 'soon' }));
  await assert.rejects(soon.status(), (e) => e.retryAfter === 0);
});

test('a recovery shows its secret to nobody who prints it', () => {
  const { recovery } = against(() => json({}));
  assert.equal(recovery.secret, SECRET);
  assert.ok(!inspect(recovery, { depth: 9 }).includes(SECRET));
  assert.ok(!JSON.stringify(recovery).includes(SECRET));
});

test('an address that would not do is refused', () => {
  for (const url of [
    'http://recover.example.com', 'ftp://recover.example.com', 'recover.example.com', 'https://',
    'https://u:p@recover.example.com', 'https://recover.example.com/path', 'https://recover.example.com?x=1',
  ]) assert.throws(() => new Keyback(url), TypeError, url);
  for (const url of ['http://localhost:8080', 'http://127.0.0.1:1/', 'http://[::1]:2', 'https://recover.example.com']) {
    assert.ok(new Keyback(url));
  }
});

test('what is named goes nowhere else', async () => {
  const { recovery, asked } = against(() => json({ title: 'x', code: 'not_found' }, 404));
  for (const name of ['..', '.', '', ' .. ']) await assert.rejects(recovery.verify(name, '1'), TypeError);
  for (const name of ['../../../admin/people', 'a/b', 'a?b=c', 'a#b', '\0']) {
    await assert.rejects(recovery.verify(name, '1'), Problem);
  }
  const start = `https://recover.example.com/api/v1/recoveries/${HANDLE}/proofs/`;
  for (const { url } of asked) assert.ok(url.startsWith(start) && new URL(url).pathname.endsWith('/verify'), url);
});

test('starting and choosing are named by a key of their own', async () => {
  const started = { handle: HANDLE, secret: SECRET, status_url: '', expires_at: '' };
  const { recovery, asked } = against(() => json({ state: 'applying', results: [] }));
  await recovery.choosePassword('a', { accounts: ['b'] });
  await recovery.choosePassword('a');
  const keys = asked.map((a) => a.headers['idempotency-key']);
  assert.equal(new Set(keys).size, 2);
  for (const key of [...keys, newKey()]) assert.match(key, /^[0-9a-f]{64}$/);
  assert.deepEqual(JSON.parse(asked[0].body), { new_password: 'a', accounts: ['b'] });
  let sent;
  const keyback = new Keyback('https://recover.example.com', { locale: 'zh-CN', fetch: async (_, init) => (sent = init, json(started, 202)) });
  const begun = await keyback.start('maya', { journey: 'second_factor', once: 'k'.repeat(32) });
  assert.deepEqual([begun.handle, begun.secret], [HANDLE, SECRET]);
  assert.equal(sent.headers['idempotency-key'], 'k'.repeat(32));
  assert.equal(sent.headers['accept-language'], 'zh-CN');
  assert.deepEqual(JSON.parse(sent.body), { identifier: 'maya', locale: 'zh-CN', journey: 'second_factor' });
});

test('what takes too long is no answer', async () => {
  const never = (_, init) => new Promise((_, no) => init.signal.addEventListener('abort', () => no(init.signal.reason)));
  await assert.rejects(against(never, { timeout: 5 }).recovery.status(), NoAnswer);
  const { recovery } = against(() => json({ state: 'applying', results: [] }));
  await assert.rejects(recovery.settled({ timeout: 1, every: 5 }), NoAnswer);
});
