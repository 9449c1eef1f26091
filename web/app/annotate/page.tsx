import type { Metadata } from "next";
import { Suspense } from "react";
import { AnnotatePage } from "@/components/annotate/annotate-page";

export const metadata: Metadata = { title: "Annotate" };

export default function Annotate() {
  return (
    <Suspense>
      <AnnotatePage />
    </Suspense>
  );
}
