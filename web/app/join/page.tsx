import type { Metadata } from "next";
import { JoinPage } from "@/components/people/join-page";

export const metadata: Metadata = { title: "Join" };

export default function Join() {
  return <JoinPage />;
}
