// Validates the custom resources of a rendered overlay (YAML documents as one JSON list on standard input) with the validators
// that the kubernetes-models project generates from the published CRDs. Usage: node crds.mjs NAME, with the packages in NODE_MODULES.
// They check types and required fields; unlike an API server with strict validation they let unknown fields pass.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const packages = {
  "gateway.networking.k8s.io": "gateway-api",
  "monitoring.coreos.com": "prometheus-operator",
  "postgresql.cnpg.io": "cloudnative-pg",
};
let failed = false;
const checked = [];
for (const document of JSON.parse(readFileSync(0, "utf8"))) {
  const [group, version] = document.apiVersion.split("/");
  const name = `${document.kind}/${document.metadata.name}`;
  // Groups of Kubernetes itself: Python has validated them.
  if (!group.includes(".") || (group.endsWith(".k8s.io") && !packages[group])) continue;
  if (!packages[group]) {
    console.log(`  NOT VALIDATED: ${name}, no schema of ${group} is at hand`);
    continue;
  }
  const file = `${process.env.NODE_MODULES}/@kubernetes-models/${packages[group]}/${group}/${version}/${document.kind}.js`;
  const model = (await import(pathToFileURL(file)))[document.kind];
  try {
    new model(document).validate();
    checked.push(document.kind);
  } catch (error) {
    console.error(`${process.argv[2]}: ${name}: ${error.message}`);
    failed = true;
  }
}
console.log(`  ${checked.length} custom resources against their CRDs (types and required fields): ${[...new Set(checked)].join(", ") || "none"}`);
process.exit(failed ? 1 : 0);
