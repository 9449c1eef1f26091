import type { Readable } from "openapi-typescript-helpers";
import type { components } from "@/lib/api/schema";

// As the client hands them over: its reading helper widens tuples to arrays.
type Schemas = Readable<components["schemas"]>;

export type Alternative = Schemas["Alternative"];
export type Annotation = Schemas["Annotation"];
export type ChatMessage = Schemas["ChatMessage"];
export type Claim = Schemas["Claim"];
export type ConflictRow = Schemas["ConflictRow"];
export type Dataset = Schemas["Dataset"];
export type Invitation = Schemas["Invitation"];
export type InvitationPreview = Schemas["InvitationPreview"];
export type Hint = Schemas["Hint"];
export type HintExample = Schemas["HintExample"];
export type Item = Schemas["Item"];
export type Job = Schemas["Job"];
export type LabelClass = Schemas["LabelClass"];
export type Labelset = Schemas["Labelset"];
export type Lease = Schemas["Lease"];
export type Member = Schemas["Member"];
export type Prediction = Schemas["Prediction"];
export type Rate = Schemas["Rate"];
export type Review = Schemas["Review"];
export type ReviewClaim = Schemas["ReviewClaim"];
export type Scorecard = Schemas["Scorecard"];
export type Scorecards = Schemas["Scorecards"];
export type Proposal = Schemas["Proposal"];
export type ServiceToken = Schemas["ServiceToken"];
export type Span = Schemas["Span"];
export type StateCounts = Schemas["StateCounts"];

export type WholeConflict = Schemas["WholeConflict"];
export type Conflict = ConflictRow | WholeConflict;

export type ItemState = Item["state"];
export type JobState = Job["state"];
export type Payload = Annotation["payload"];
export type Role = Member["role"];
export type Scope = ServiceToken["scopes"][number];
export type Route = Prediction["route"];
