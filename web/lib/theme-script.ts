export const THEME_KEY = "labelcrew.theme";

/** Runs before the first paint (see app/layout.tsx), so that a dark page never flashes white. */
export const themeScript = `(function(){try{var c=localStorage.getItem("${THEME_KEY}");var d=c==="dark"||(c!=="light"&&matchMedia("(prefers-color-scheme: dark)").matches);document.documentElement.classList.toggle("dark",d)}catch(e){}})()`;
