import { ChevronRight } from "lucide-react";
import Link from "next/link";
import { Fragment } from "react";

export interface Crumb {
  name: string;
  href?: string;
}

export function Breadcrumb({ crumbs }: { crumbs: Crumb[] }) {
  return (
    <nav aria-label="Where you are" className="min-w-0" data-slot="breadcrumb">
      <ol className="flex min-w-0 items-center gap-1.5 text-sm text-muted-foreground">
        {crumbs.map((crumb, index) => (
          <Fragment key={`${index}-${crumb.name}`}>
            {index > 0 && (
              <li aria-hidden className="shrink-0">
                <ChevronRight className="size-3.5" />
              </li>
            )}
            <li className="truncate">
              {crumb.href ? (
                <Link href={crumb.href} className="rounded-sm hover:text-foreground">
                  {crumb.name}
                </Link>
              ) : (
                <span aria-current="page" className="text-foreground">
                  {crumb.name}
                </span>
              )}
            </li>
          </Fragment>
        ))}
      </ol>
    </nav>
  );
}
