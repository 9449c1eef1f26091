import Link from "next/link";
import { Empty } from "@/components/shell/problem";
import { Button } from "@/components/ui/button";

export default function NotFound() {
  return (
    <main className="mx-auto max-w-xl px-4 py-24">
      <Empty
        title="There is no such page"
        action={
          <Button asChild>
            <Link href="/">To the datasets</Link>
          </Button>
        }
      />
    </main>
  );
}
