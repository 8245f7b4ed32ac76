#!/usr/bin/env bash
# A swarm of real peers, each a task of an array: the first starts the run and leaves its invite in a folder that all nodes share,
# where the others find it. Task n learns from n.tsv (or .csv, .jsonl) of the data folder; flags go to "lorikeet up".
#   sbatch --array=1-4 sim/cluster/swarm.sh data shared --rounds 12
# Each leaves its adapter in shared/peer-n/adapter. A task that is requeued goes on where it stopped.
#SBATCH --job-name=lorikeet-swarm
#SBATCH --cpus-per-task=1
#SBATCH --mem=4G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --output=lorikeet-swarm-%A-%a.log
set -euo pipefail
data=${1:?a folder with a file of texts for each task, 1.tsv and so on}
shared=${2:?a folder that all nodes share}
shift 2
task=${SLURM_ARRAY_TASK_ID:?run with sbatch --array=1-N}
files=("$data/$task".*)
own=(--data "${files[0]}" --state "$shared/peer-$task" --host "${LORIKEET_HOST:-0.0.0.0}" --threads "${SLURM_CPUS_PER_TASK:-1}"
  --invite-file "$shared/invite-${SLURM_ARRAY_JOB_ID:?}" --wait 3600 --json)
mkdir -p "$shared"
if [ "$task" = 1 ]; then
  exec ${LORIKEET:-npx lorikeet} up "${own[@]}" --min-peers "${SLURM_ARRAY_TASK_COUNT:?}" "$@"
else
  exec ${LORIKEET:-npx lorikeet} join "${own[@]}"
fi
