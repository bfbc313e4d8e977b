#!/bin/sh
# Everything to measure on a machine with a real GPU that has neither this project's packages nor a network.
#   here:   sh bench/gpu.sh pack             bundles the command line and the kernel benches into .gpu/bench
#   there:  sh bench/gpu.sh run OUT [HOME]   self-tests, kernels and models, as JSON lines into the folder OUT
# HOME is a folder whose node_modules holds `webgpu`, /opt/pack unless given; `node` is on the PATH.
set -eu
cd "$(dirname "$0")/.."

# esbuild comes with tsx. Bundles lie as deep as src/kernels does, since shaders are looked for two folders above.
pack() {
  rm -rf .gpu/bench && mkdir -p .gpu/bench/src
  node_modules/.bin/esbuild bench/kernels/*.ts bench/random-gguf.ts src/cli.ts --bundle --platform=node --format=esm \
    --target=node20 --outdir=.gpu/bench/src/kernels --entry-names=[name] --out-extension:.js=.mjs --log-level=warning \
    --external:webgpu --external:uWebSockets.js \
    --banner:js="import { createRequire as createBundleRequire } from 'node:module'; const require = createBundleRequire(import.meta.url);"
  cp -r shaders .gpu/bench/
  cp package.json .gpu/bench/src/
}

run() {
  out=$1 bundles=${2:-/opt/pack}/bench/src/kernels
  mkdir -p "$out" "${2:-/opt/pack}"
  cp -r .gpu/bench "${2:-/opt/pack}/"
  firstlight() {
    node --input-type=module -e "process.exitCode = await (await import('$bundles/cli.mjs')).main(process.argv.slice(1))" -- "$@"
  }
  firstlight doctor --json > "$out/doctor.json" || echo 'doctor failed' >&2
  for kernel in rms-norm head-norm rope hadamard kv-write glu embedding gemv gemm attention-decode attention-prefill argmax top-k soft-cap expert-choice expert-routes expert-sum; do
    node "$bundles/$kernel.mjs" --seconds 0.3 >> "$out/kernels.jsonl" || echo "bench $kernel failed" >&2
  done
  for shape in llama-15m llama-110m llama-1b; do
    for type in f16 q8_0 q4_0; do
      model=$bundles/$shape-$type.gguf
      node "$bundles/random-gguf.mjs" --shape $shape --type $type --out "$model"
      firstlight bench --model "$model" --json >> "$out/models.jsonl" || echo "bench $shape $type failed" >&2
      rm -f "$model"
    done
  done
}

case "${1:-}" in
  pack) pack ;;
  run) run "${2:?OUT is missing}" ${3:+"$3"} ;;
  *) sed -n 2,5p "$0" && exit 2 ;;
esac
