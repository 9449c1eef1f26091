import type { Metadata } from "next";
import { Suspense } from "react";
import { JobPage } from "@/components/jobs/job-page";

export const metadata: Metadata = { title: "Job" };

export default function Job() {
  return (
    <Suspense>
      <JobPage />
    </Suspense>
  );
}
