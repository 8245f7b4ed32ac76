#!/usr/bin/env bash
# Every n-th run of a sweep on each task of an array; a task that is requeued goes on where it stopped.
#   sbatch --array=1-8 sim/cluster/slurm.sh sim/scenarios/graphs.yaml results
# and when all are done:
#   lorikeet sim sim/scenarios/graphs.yaml --report --out results
# An experiment: LORIKEET_COMMAND=experiment; its shards write to folders of their own, which lorikeet merge joins.
#SBATCH --job-name=lorikeet
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --output=lorikeet-%A-%a.log
set -euo pipefail
file=${1:?a scenario, such as sim/scenarios/graphs.yaml}
out=${2:-results}
command=${LORIKEET_COMMAND:-sim}
shard="${SLURM_ARRAY_TASK_ID:?run with sbatch --array=1-N}/${SLURM_ARRAY_TASK_COUNT:?}"
threads=()
if [ "$command" = experiment ]; then
  out="$out/shard-$SLURM_ARRAY_TASK_ID"
  threads=(--threads "${SLURM_CPUS_PER_TASK:-1}")
fi
exec ${LORIKEET:-npx lorikeet} "$command" "$file" --shard "$shard" --out "$out" "${threads[@]}"
