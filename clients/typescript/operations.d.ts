import type { Operations } from './types.d.ts';

/** Method and path of every operation. */
export declare const OPERATIONS: { readonly [name in keyof Operations]: readonly [string, string] };
