#!/usr/bin/env bash
# One-node SLURM from Debian's packages, on loopback addresses only.
# slurm.sh start FOLDER: installs what is missing, starts munged, slurmctld and slurmd.
# slurm.sh stop FOLDER: ends exactly those.
# Exit code 3: the packages cannot be installed here.
set -euo pipefail
verb=$1 folder=$(readlink -f "$2")
export SLURM_CONF=$folder/slurm.conf PATH=$PATH:/usr/sbin

if [ "$verb" = stop ]; then
  for name in slurmd slurmctld munged; do
    [ -s "$folder/$name.pid" ] || continue
    pid=$(cat "$folder/$name.pid")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$pid" 2>/dev/null || true
  done
  exit 0
fi

[ "$(id -u)" = 0 ] || { echo "needs root"; exit 3; }
have() { for name in "$@"; do command -v "$name" >/dev/null || return 1; done; }
if ! have slurmctld slurmd munged sbatch srun; then
  "$(dirname "$(readlink -f "$0")")/install.sh" slurmctld slurmd slurm-client munge
  # The packages start services of their own, where the system has any.
  for name in slurmd slurmctld munge; do service "$name" stop >/dev/null 2>&1 || true; done
fi
mkdir -p "$folder"/{state,spool}
head -c 1024 /dev/urandom >"$folder/munge.key"
chmod 700 "$folder"; chmod 600 "$folder/munge.key"
munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
  --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" --seed-file="$folder/munge.seed"
host=$(hostname -s)
# A requeued job waits until its credential has expired.
cat >"$SLURM_CONF" <<EOF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=5
CredType=cred/munge
SlurmctldPort=16817
SlurmdPort=16818
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=20
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=low Nodes=$host Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=30 MaxTime=INFINITE State=UP
PartitionName=high Nodes=$host PriorityTier=2 PreemptMode=OFF MaxTime=INFINITE State=UP
EOF
slurmctld
slurmd
for _ in $(seq 100); do
  [ "$(sinfo -h -o %T 2>/dev/null | sort -u)" = idle ] && exit 0
  sleep 0.2
done
tail -n 5 "$folder"/slurm*.log
exit 1
