import type { TSchema } from '@sinclair/typebox'
import * as audit from './audit.ts'
import * as frame from './frame.ts'
import * as job from './job.ts'
import * as node from './node.ts'
import { Placement } from './placement.ts'
import * as policy from './policy.ts'
import { Problem } from './problem.ts'
import { QueueItem, QueueNeed, Wait } from './queue.ts'
import * as token from './token.ts'
import * as webhook from './webhook.ts'

/** Every schema with a name of its own: the components of the OpenAPI document. */
export const sharedSchemas: TSchema[] = [
  job.JobState,
  job.AttemptState,
  job.Scope,
  job.Resources,
  job.Limits,
  job.ProcessTask,
  job.ContainerTask,
  job.LlmTask,
  job.ExtensionTask,
  job.Task,
  job.Constraint,
  job.Retry,
  job.JobId,
  job.JobSpec,
  job.Attempt,
  job.JobResult,
  job.Job,
  QueueNeed,
  Wait,
  QueueItem,
  Placement,
  frame.StatusFrame,
  frame.LogFrame,
  frame.ResultFrame,
  frame.ErrorFrame,
  frame.HeartbeatFrame,
  frame.Frame,
  Problem,
  node.Gpu,
  node.Capacity,
  node.NodeStatus,
  node.Health,
  node.Pod,
  token.Token,
  token.TokenRequest,
  token.NewToken,
  token.LocalToken,
  audit.AuditAnchor,
  audit.AuditEntry,
  audit.AuditVerdict,
  webhook.WebhookDelivery,
  webhook.WebhookEvent,
  webhook.WebhookSecret,
  policy.Policy,
  policy.PolicyStatus,
  policy.PolicyCheck,
  policy.PolicyExplanation
]
