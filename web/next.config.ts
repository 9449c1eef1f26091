import type { NextConfig } from "next";

// The workspace is plain files: the gateway serves them beside the API, and no Node process runs in production.
const config: NextConfig = {
  output: "export",
  // `npm run check` looks at the types, with the other checks; a build need not wait for them.
  typescript: { ignoreBuildErrors: true },
  agentRules: false,
  experimental: { agentUpgrade: false },
};

export default config;
