//! What a hold means, and what a person can do about it. `docs/runbooks/held-runs.md` is made of
//! these texts.

use super::HoldReason;

/// Words for people about one reason of a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldHelp {
    /// Completes "The run does not start, because …".
    pub meaning: &'static str,
    /// What to do, in one or two short sentences.
    pub advice: &'static str,
}

const fn help(meaning: &'static str, advice: &'static str) -> HoldHelp {
    HoldHelp { meaning, advice }
}

impl HoldReason {
    #[expect(clippy::too_many_lines, reason = "it is a table: one entry for each reason")]
    pub const fn help(self) -> HoldHelp {
        match self {
            Self::Paused => {
                help("remediation is paused", "`kafka-optimizer resume` lets runs start again.")
            }
            Self::ModeObserve => {
                help("the mode is `observe`", "Set `remediation.mode` to `rehearse` or `act`.")
            }
            Self::QueueFull => help(
                "100 runs of the cluster wait whose alerts Prometheus does not confirm",
                "The alert gets a run when Prometheus confirms it. See `not_confirmed` for why it \
                 may not.",
            ),
            Self::Stuck => help(
                "another run of the cluster is stuck",
                "`kafka-optimizer retry RUN` tries its undo again. If you repaired it yourself: \
                 `kafka-optimizer acknowledge RUN`.",
            ),
            Self::Cooldown => help(
                "the last run of this playbook on this target ended not long ago",
                "Wait: the note says how long. The playbook's `cooldown` sets it.",
            ),
            Self::CapHour => help(
                "the cluster has had its maximum number of runs in the last hour",
                "Wait, or raise `remediation.runs_per_hour_max`.",
            ),
            Self::CapDay => help(
                "the cluster has had its maximum number of runs in the last day",
                "Wait, or raise `remediation.runs_per_day_max`.",
            ),
            Self::Quarantined => help(
                "the playbook was rolled back three times in a row on this target",
                "Find out why it did not help, then `kafka-optimizer release --playbook NAME \
                 --target TARGET`.",
            ),
            Self::NotConfirmed => help(
                "the alert does not fire in Prometheus, or the playbook's `when` does not hold",
                "Run the note's query in Prometheus. The labels of `match` must be those that the \
                 alert has there, without what `external_labels` adds on the way.",
            ),
            Self::PrometheusUnavailable => help(
                "Prometheus does not answer, rejects a query, or is not configured",
                "Check the cluster's `prometheus.url`, and run the note's query there.",
            ),
            Self::EvidenceMissing => help(
                "the objective, the load or a guard has too few samples, or a soft guard too \
                 little history",
                "Run the note's query in Prometheus: each needs at least 6 fresh samples in the \
                 baseline, and the objective and the load a value in half of its bins. A soft \
                 guard with `without_history: hold` needs 60 bins of history.",
            ),
            Self::EvidenceStale => help(
                "the latest snapshot of the cluster is too old",
                "Look for failing collectors on the landing page and in the log.",
            ),
            Self::BrokerNotReporting => help(
                "a broker has not answered for two collection intervals",
                "Check the broker that the note names, and the network to it.",
            ),
            Self::UnknownTarget => help(
                "the cluster has no such broker or consumer group",
                "Check the labels `broker_id` and `consumergroup` of the alert.",
            ),
            Self::AdviseOnly => help(
                "an operator manages the cluster and would undo the change",
                "Make the change in that operator's own resource.",
            ),
            Self::ForeignReassignment => help(
                "someone else is reassigning partitions",
                "Wait until the reassignment has ended.",
            ),
            Self::RollingRestart => help(
                "a broker came or went in the last minute, or this process has watched the \
                     brokers for less than a minute",
                "Wait: the note says which.",
            ),
            Self::ControllerChanged => help(
                "the controller changed in the last minute",
                "Wait. If it changes often, look at the controllers' logs.",
            ),
            Self::NoController => help(
                "the controller quorum has no leader",
                "Bring back a majority of the controllers.",
            ),
            Self::OfflinePartitions => help(
                "a partition has no leader",
                "Bring back the brokers of the partitions that the note names.",
            ),
            Self::BrokersMissing => {
                help("more than one broker is missing", "Bring the brokers back.")
            }
            Self::TooBroken => help(
                "more than 40 % of the brokers are missing or named by firing alerts that no playbook \
                 answers",
                "Repair the cluster by hand: the trouble is not one broker's.",
            ),
            Self::AvailabilityGate => help(
                "a partition could become unavailable to producers with `acks=all`",
                "Wait until the replicas are in sync; the note names the partition.",
            ),
            Self::ExternallyChanged => help(
                "someone else changed a key after this program wrote it",
                "Set the value that is right, then `kafka-optimizer release --key KEY`.",
            ),
            Self::Unplannable => help(
                "the optimizer has nothing to change, or cannot plan it",
                "Read the note. Cancel the run, or change the playbook.",
            ),
            Self::RehearsalRefused => help(
                "a broker refused to validate the first step",
                "Read the broker's words in the note, and correct the playbook or the broker.",
            ),
            Self::KafkaUnavailable => {
                help("Kafka does not answer", "Check the brokers, and the network to them.")
            }
            Self::DockerUnavailable => help(
                "the Docker engine does not answer, or none is configured",
                "Check the socket that the cluster's `docker` names.",
            ),
            Self::GroupUnstable => help(
                "the consumer group is rebalancing",
                "Wait. If it does not end, look at the consumers' logs.",
            ),
            Self::GroupNotMoving => help(
                "the consumers do not commit: they are stuck, not too few",
                "Look at the consumers' logs; more of them would not help.",
            ),
            Self::NotActing => help(
                "the mode was `act` when the run began, and is not any longer",
                "Set `remediation.mode` to `act`. Otherwise steps that are being written are rolled \
                 back, and a canary that was judged good is kept alone.",
            ),
            Self::OtherActor => help(
                "another process acts on this Kafka cluster",
                "Leave one process in mode `act`; the note names the other.",
            ),
            Self::NoLease => help(
                "no broker has confirmed that this process is the one that acts",
                "Check the brokers, and this process's rights on them; the note has the cause.",
            ),
            Self::SameCluster => help(
                "an earlier name in the configuration stands for the same Kafka cluster",
                "Remove one of the two names from `clusters`.",
            ),
            Self::Overlap => help(
                "a temporary change ended within the baseline",
                "Wait: the note says how long.",
            ),
        }
    }
}
