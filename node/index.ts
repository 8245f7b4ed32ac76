/** @file Lorikeet as a library: open a run, start a trainer, take part, read and write adapters. */
import './polyfill.ts';

export { readAdapter, writeAdapter } from './adapter.ts';
export { createTrainer, type Trainer } from './engine/trainer.ts';
export { EXIT, UserError } from './errors.ts';
export { formatInvite, type Invite, parseInvite } from './invite.ts';
export { fetchRun } from './network/visits.ts';
export { type Participant, type ParticipantOptions, type ParticipantView, startParticipant } from './participant.ts';
export { openStore, type Store } from './store.ts';
export { type Example, openData, type Row, readRows, splitRows } from './texts/data.ts';
export { createTask, type Task, type TaskSpec } from './texts/task.ts';
export { encodeExamples, encodeTexts, evaluate, measurePrior, trainRound } from './train/learner.ts';
export type { Exam, Learner, Texts } from './train/objective.ts';
export { checkSettings, openRun, type Run, runIdOf } from './train/run.ts';
export type { Accuracy, Score, TokenLoss } from './train/score.ts';
export { readTexts } from './train/texts.ts';
