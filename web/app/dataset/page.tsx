import type { Metadata } from "next";
import { Suspense } from "react";
import { DatasetPage } from "@/components/dataset/dataset-page";

export const metadata: Metadata = { title: "Dataset" };

export default function Dataset() {
  return (
    <Suspense>
      <DatasetPage />
    </Suspense>
  );
}
