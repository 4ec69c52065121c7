// A whole recovery on a terminal: node example.js https://recover.example.com maya

import { createInterface } from 'node:readline/promises';
import { stdin, stdout, argv } from 'node:process';
import { Keyback, Problem } from 'keyback-client';

const [, , url, who] = argv;
const lines = createInterface({ input: stdin, output: stdout });

const keyback = new Keyback(url, { locale: 'en' });
const recovery = await keyback.start(who);
const first = await recovery.status();
if (first.state === 'waiting') console.log('If a page asks for a number, it is', first.number);

await recovery.verify('email_link', await lines.question('Code from the email: '));
for (;;) {
  try {
    await recovery.choosePassword(await lines.question('New password: '));
    break;
  } catch (e) {
    if (!(e instanceof Problem) || e.code !== 'password_refused') throw e;
    for (const v of e.body.violations ?? []) console.log(v.text, v.suggestion);
  }
}
const done = await recovery.settled();
if (done.state === 'done') for (const r of done.results) console.log(r.title, r.result, ...r.steps);
lines.close();
