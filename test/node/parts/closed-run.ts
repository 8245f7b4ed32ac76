/** @file A closed run for tests: its id, its first peer, and an invite of it for eight. */
import { generateKey, idOfKey } from '../../../node/admission/identity.ts';
import { issueTicket } from '../../../node/admission/ticket.ts';

export const RUN = '00112233445566778899aabbccddeeff';
export const founderKey = await generateKey();
export const founder = idOfKey(founderKey)!;
export const ticket = issueTicket({ runId: RUN, key: founderKey, chain: [], uses: 8, expires: 0 });
