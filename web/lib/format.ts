const counts = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const dateTime = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

const THIN = "\u202f";

export const count = (value: number): string => counts.format(value);
export const compact = (value: number): string => short.format(value);

/** "1 item", "1,204 items". */
export function quantity(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A probability as people read it: "87 %", never a false "100 %". */
export function percent(probability: number): string {
  if (probability > 0.995 && probability < 1) return `>${THIN}99${THIN}%`;
  if (probability > 0 && probability < 0.005) return `<${THIN}1${THIN}%`;
  return `${Math.round(probability * 100)}${THIN}%`;
}

export function usd(value: number): string {
  if (value === 0) return "$0.00";
  if (value < 0.0001) return "<\u202f$0.0001";
  return `$${value.toFixed(value < 0.1 ? 4 : 2)}`;
}

/** An amount in a currency's minor unit: 1250 of EUR is "€12.50", 500 of JPY "¥500". */
export function money(amount: number, currency: string): string {
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

/** "8 s", "2 min 10 s", "3 h 5 min". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min${whole % 60 ? ` ${whole % 60} s` : ""}`;
  const minutes = Math.round((whole % 3600) / 60);
  return `${Math.floor(whole / 3600)} h${minutes ? ` ${minutes} min` : ""}`;
}

export function bytes(value: number): string {
  const units = ["B", "KB", "MB", "GB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, value)) / 3));
  const scaled = value / 1000 ** power;
  return `${scaled >= 10 || power === 0 ? Math.round(scaled) : scaled.toFixed(1)} ${units[power]}`;
}

export const moment = (iso: string): string => dateTime.format(new Date(iso));

/** "just now", "5 minutes ago", and the date after a week. */
export function ago(iso: string, now = Date.now()): string {
  const seconds = (new Date(iso).getTime() - now) / 1000;
  const steps: [Intl.RelativeTimeFormatUnit, number][] = [
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
  ];
  if (seconds < -7 * 86_400) return moment(iso);
  for (const [unit, size] of steps) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return "just now";
}
