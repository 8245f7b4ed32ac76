/**
 * @file Lorikeet as a library: begin or join a swarm, watch it, use what it has learned; below that its parts, to put together
 * otherwise.
 */
import './polyfill.ts';

export { readAdapter, writeAdapter } from './adapter.ts';
export { idOfKey } from './admission/identity.ts';
export type { Chronicle } from './chronicle/chronicle.ts';
export type { TrainResult } from './engine/engine.ts';
export { createTrainer, type Trainer } from './engine/trainer.ts';
export { EXIT, type Mistake, UserError } from './errors.ts';
export type { Prediction } from './generate/classifier.ts';
export type { CreateHost, Host, HostOptions } from './host.ts';
export { formatInvite, type Invite, parseInvite } from './invite.ts';
export type { SwarmEvent } from './library/events.ts';
export type {
  Aggregator,
  CreateOptions,
  Data,
  JoinOptions,
  OwnCodec,
  OwnTrainer,
  PeerOptions,
  Transport,
} from './library/options.ts';
export type { Swarm, Waiting } from './library/part.ts';
export { createSwarm, joinSwarm } from './library/swarm.ts';
export { fetchRun } from './network/visits.ts';
export { type Participant, type ParticipantOptions, startParticipant } from './participant.ts';
export type { ParticipantView } from './participant-view.ts';
export { openStore, type Store } from './store.ts';
export { type Example, openData, type Row, readRows, splitRows } from './texts/data.ts';
export { createTask, type Task, type TaskSpec } from './texts/task.ts';
export type { Compared } from './train/compare.ts';
export { encodeExamples, encodeTexts, evaluate, measurePrior, trainRound } from './train/learner.ts';
export type { Exam, Learner, Texts } from './train/objective.ts';
export { type ClassRun, checkSettings, openRun, type Run, runIdOf, type WritingRun } from './train/run.ts';
export { type Accuracy, figureOf, type Score, type TokenLoss } from './train/score.ts';
export { readTexts } from './train/texts.ts';
