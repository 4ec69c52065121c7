import type { Operations, Problem as ProblemBody, Start } from './types.d.ts';

export type * from './types.d.ts';

export interface Options {
  /** Of texts in answers and of mails: `en` or `zh-CN`. */
  locale?: string;
  /** For one call, in ms. Choosing a password is answered within about eight seconds. */
  timeout?: number;
  /** Another `fetch`, for proxies, certificates of your own, or tests. */
  fetch?: typeof globalThis.fetch;
}

type Takes<N extends keyof Operations> = Operations[N]['takes'];
type Part<K extends string, T> = [T] extends [undefined] ? {} : {} extends T ? { [k in K]?: T } : { [k in K]: T };

/** What one operation is given. */
export type Given<N extends keyof Operations> = Part<'path', Takes<N>['path']> &
  Part<'query', Takes<N>['query']> &
  Part<'body', Takes<N>['body']> & {
    /** Secret of the recovery, or token of the session. */
    bearer?: string;
    /** `Idempotency-Key`: 16 to 255 printable ASCII characters, random. */
    once?: string;
  };

/** Keyback said no. `code` is stable; `title` is for people. What was sent is never in it. */
export declare class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  /** Seconds to wait; 0 where it says nothing. */
  readonly retryAfter: number;
  /** All members, such as `violations`, `tries_left`, `second_step`. */
  readonly body: ProblemBody;
}

/** The outcome is unknown: no connection, no answer in time, or one that is none of Keyback's. */
export declare class NoAnswer extends Error {}

/** A key for `once`: 256 random bits. As secret as what it brings about. */
export declare function newKey(): string;

/** A Keyback. Throws `TypeError` where `url` is not https, and not this machine. */
export declare class Keyback {
  constructor(url: string, options?: Options);
  /** Any operation of the API, by its name there. */
  call<N extends keyof Operations>(
    name: N,
    ...given: {} extends Given<N> ? [given?: Given<N>] : [given: Given<N>]
  ): Promise<Operations[N]['gives']>;
  /** Begins a recovery. The answer is the same whether anybody is known by `identifier` or not. */
  start(identifier: string, options?: Omit<Start, 'identifier'> & { once?: string }): Promise<Recovery>;
  /** A recovery that was begun before. */
  resume(handle: string, secret: string): Recovery;
}

/** Operations that are about one recovery. */
export type OfRecovery = {
  [N in keyof Operations]: Takes<N>['path'] extends { handle: string } ? N : never;
}[keyof Operations];

type Inside<N extends OfRecovery> = Part<'path', Omit<Takes<N>['path'], 'handle'>> & Omit<Given<N>, 'path' | 'bearer'>;

/** One recovery. `secret` controls it: it belongs into neither addresses nor logs, and is not enumerable. */
export declare class Recovery {
  readonly handle: string;
  readonly secret: string;
  call<N extends OfRecovery>(
    name: N,
    ...given: {} extends Inside<N> ? [given?: Inside<N>] : [given: Inside<N>]
  ): Promise<Operations[N]['gives']>;
  /** Where it stands. */
  status(): Promise<Operations['getRecovery']['gives']>;
  /** Puts a question, or has another email sent (`email_link`). */
  ask(proof: string, target?: string): Promise<Operations['startProof']['gives']>;
  /** Answers a question. */
  verify(proof: string, code: string): Promise<Operations['verifyProof']['gives']>;
  /** Sets a new password. Throws `Problem` `password_refused`, with `violations` in its body. */
  choosePassword(
    password: string,
    options?: { accounts?: string[]; once?: string },
  ): Promise<Operations['choosePassword']['gives']>;
  /** Waits until every system has a result. Throws `NoAnswer` where that takes longer than `timeout` ms. */
  settled(options?: { timeout?: number; every?: number }): Promise<
    Exclude<Operations['getRecovery']['gives'], { state: 'waiting' | 'need_more' | 'applying' }>
  >;
  cancel(): Promise<Operations['cancelRecovery']['gives']>;
}
