export { choose, explain, isUnplaceable, place, type Decision } from './place.ts'
export type {
  Choice,
  Needs,
  PlacementConstraint,
  PlacementJob,
  PlacementNode,
  PlacementOptions,
  Reason,
  Strategy
} from './types.ts'
