/** @file Joins the run of an invite with a file of texts, and goes on from its state another time. */
import { joinSwarm } from 'lorikeet';

const [invite, data, state] = process.argv.slice(2);
if (!invite || !data) throw new Error('wanted: joining INVITE FILE [STATE]');
await using peer = await joinSwarm(invite, { data, ...(state ? { state } : {}) });
console.log(`peer ${peer.id} of run ${peer.runId}, ${peer.view.labelled} labelled texts`);
await peer.finished;
await peer.leave();
console.log(`over after ${peer.view.round} rounds`);
