/** A luggage label, drawn in the ink of the page. */
export function Mark({ className }: { className?: string }) {
  return (
    <svg viewBox="0 0 24 24" aria-hidden className={className} fill="none">
      <path
        d="M3 7.25h10.1c.6 0 1.2.27 1.6.73L20.5 14l-5.8 6.02c-.4.46-1 .73-1.6.73H3z"
        transform="translate(0 -2)"
        stroke="currentColor"
        strokeWidth="1.8"
        strokeLinejoin="round"
      />
      <circle cx="8" cy="12" r="1.9" fill="var(--brand)" />
    </svg>
  );
}
