import type { Readable } from "openapi-typescript-helpers";
import type { components } from "@/lib/api/schema";

// As the client hands them over: its reading helper widens tuples to arrays.
type Schemas = Readable<components["schemas"]>;

export type Alternative = Schemas["Alternative"];
export type Annotation = Schemas["Annotation"];
export type Claim = Schemas["Claim"];
export type Dataset = Schemas["Dataset"];
export type Item = Schemas["Item"];
export type Job = Schemas["Job"];
export type LabelClass = Schemas["LabelClass"];
export type Labelset = Schemas["Labelset"];
export type Lease = Schemas["Lease"];
export type Prediction = Schemas["Prediction"];
export type Span = Schemas["Span"];
export type StateCounts = Schemas["StateCounts"];

export type ItemState = Item["state"];
export type JobState = Job["state"];
export type Payload = Annotation["payload"];
export type Route = Prediction["route"];
