import { useEffect } from "react";

/** Names the tab after what is on the page, which is known only once it has been loaded. */
export function useTitle(title: string | undefined) {
  useEffect(() => {
    if (title) document.title = `${title} · LabelCrew`;
  }, [title]);
}
