//! The own metrics: every name, once.

use super::spec::{Kind, Spec, specs};

specs! {
    BUILD_INFO: Gauge "kafka_optimizer_build_info" ["version", "revision", "rustc"]
        "What this process was built from, always 1", "one";
    MODE: Gauge "kafka_optimizer_mode" ["mode"]
        "1 for the mode of remediation in force, 0 for the others", "three modes";
    PAUSED: Gauge "kafka_optimizer_paused" ["kafka_cluster"]
        "1 while remediation is paused by a person", "clusters";
    COLLECTOR_SUCCESS: Gauge "kafka_optimizer_collector_success" ["kafka_cluster", "collector"]
        "1 if every request of the collector's latest round was answered", "clusters × collectors";
    COLLECTOR_DURATION: Gauge "kafka_optimizer_collector_duration_seconds"
        ["kafka_cluster", "collector"]
        "How long the collector's latest round took", "clusters × collectors";
    COLLECTOR_LAST_SUCCESS: Gauge "kafka_optimizer_collector_last_success_timestamp_seconds"
        ["kafka_cluster", "collector"]
        "When every request of a round of the collector was last answered, as a Unix time",
        "clusters × collectors";
    SNAPSHOT_TIMESTAMP: Gauge "kafka_optimizer_snapshot_timestamp_seconds" ["kafka_cluster"]
        "When the cluster's metadata was last read, as a Unix time", "clusters";
    KAFKA_REQUESTS: Counter "kafka_optimizer_kafka_requests_total" ["kafka_cluster", "api"]
        "Requests sent to the cluster's brokers", "clusters × kinds of request";
    KAFKA_REQUEST_ERRORS: Counter "kafka_optimizer_kafka_request_errors_total"
        ["kafka_cluster", "api", "reason"]
        "Requests to the cluster's brokers that failed",
        "clusters × kinds of request × six reasons";
    ROUND_DURATION: Gauge "kafka_optimizer_round_duration_seconds" ["kafka_cluster"]
        "How long the latest round of collection took", "clusters";
    ROUND_REQUESTS: Gauge "kafka_optimizer_round_requests" ["kafka_cluster"]
        "Requests sent to the cluster's brokers during the latest round of collection",
        "clusters";
    SERIES: Gauge "kafka_optimizer_series" ["kafka_cluster"]
        "Series of the cluster on the page", "clusters";
    SERIES_DROPPED: Gauge "kafka_optimizer_series_dropped" ["kafka_cluster"]
        "Series of the cluster that its budget left out of the page, at most", "clusters";
    PAGE_BYTES: Gauge "kafka_optimizer_page_bytes" ["encoding"]
        "Size of the page of cluster metrics", "two encodings";
    READINGS_UNKNOWN: Gauge "kafka_optimizer_readings_unknown"
        ["kafka_cluster", "collector", "reason"]
        "Values that could not be read in the collector's latest round and have no sample",
        "clusters × collectors × reasons";
    COMMITS_AHEAD: Gauge "kafka_optimizer_commits_ahead" ["kafka_cluster"]
        "Partitions whose committed offset lay ahead of the log end, so that their lag is 0",
        "clusters";
    WEBHOOK_REQUESTS: Counter "kafka_optimizer_webhook_requests_total" ["code"]
        "Notifications answered, by HTTP status code", "status codes in use";
    CONNECTIONS_REFUSED: Counter "kafka_optimizer_http_connections_refused_total" ["limit"]
        "HTTP connections closed because their address had too many, or times that all places were taken",
        "two limits";
    ALERTS: Counter "kafka_optimizer_alerts_total" ["outcome"]
        "Alerts of accepted notifications, by what became of them", "six outcomes";
    TRUNCATED_ALERTS: Counter "kafka_optimizer_truncated_alerts_total" []
        "Alerts that Alertmanager cut off its notifications", "one";
    VARYING_LABELS: Counter "kafka_optimizer_varying_label_episodes_total"
        ["kafka_cluster", "playbook"]
        "Episodes whose alerts differ in more labels than severity", "clusters × playbooks";
    HOLDS: Counter "kafka_optimizer_holds_total" ["kafka_cluster", "playbook", "reason"]
        "Runs that could start and were held", "clusters × playbooks × reasons";
    RUNS: Counter "kafka_optimizer_runs_total" ["kafka_cluster", "optimizer", "outcome"]
        "Runs that ended", "clusters × optimizers × five outcomes";
    VERDICTS: Counter "kafka_optimizer_verdicts_total" ["kafka_cluster", "optimizer", "verdict"]
        "Runs judged", "clusters × optimizers × four verdicts";
    RUN_ACTIVE: Gauge "kafka_optimizer_run_active" ["kafka_cluster"]
        "1 while a run may be changing the cluster", "clusters";
    RUN_STATE: Gauge "kafka_optimizer_run_state" ["kafka_cluster", "state"]
        "1 for the state of the cluster's active run, 0 for the others",
        "clusters × twelve states";
    RUN_INFO: Gauge "kafka_optimizer_run_info"
        ["kafka_cluster", "run", "optimizer", "target", "verdict", "outcome"]
        "When the run started, as a Unix time", "the last 50 runs of each cluster";
    RUN_EFFECT: Gauge "kafka_optimizer_run_effect_ratio" ["kafka_cluster", "run"]
        "Relative improvement of a judged run, less what load and chance explain: 0.6 is 60 % better",
        "the last 50 runs of each cluster";
    ALERT_TO_EFFECT: Histogram "kafka_optimizer_alert_to_effect_seconds" ["kafka_cluster"]
        "From a stored alert to its last value being in force", "clusters";
    STEP_DURATION: Histogram "kafka_optimizer_step_duration_seconds" ["kafka_cluster"]
        "From a step's request to its value being read back", "clusters";
    STUCK: Gauge "kafka_optimizer_stuck" ["kafka_cluster"]
        "Runs whose undo failed and that no person has acknowledged", "clusters";
    AWAITING_APPROVAL: Gauge "kafka_optimizer_awaiting_approval" ["kafka_cluster"]
        "Runs whose plan waits for a person's approval", "clusters";
    APPROVAL_ASKED: Gauge "kafka_optimizer_approval_asked_timestamp_seconds" ["kafka_cluster"]
        "When the first of the plans that wait for approval asked for it; a plan waits 30 minutes",
        "clusters, while a plan waits";
    QUARANTINED: Gauge "kafka_optimizer_quarantined" ["kafka_cluster", "playbook", "target"]
        "1 for a playbook and target that rolled back three times in a row",
        "playbooks × brokers, while quarantined";
    COOLDOWN_END: Gauge "kafka_optimizer_cooldown_end_timestamp_seconds"
        ["kafka_cluster", "playbook", "target"]
        "When the playbook may act on the target again, as a Unix time",
        "playbooks × brokers, while cooling down";
    ACTING_LEASE: Gauge "kafka_optimizer_acting_lease" ["kafka_cluster"]
        "1 if this process is the one that may change the cluster, 0 if not; only in mode act",
        "clusters";
    OTHER_ACTOR_INFO: Gauge "kafka_optimizer_other_actor_info"
        ["kafka_cluster", "installation", "host"]
        "The other process that acts on the cluster, always 1", "clusters, while there is one";
    DUPLICATE_CLUSTER_INFO: Gauge "kafka_optimizer_duplicate_cluster_info"
        ["kafka_cluster", "same_as"]
        "An earlier name in the configuration for the same Kafka cluster, always 1",
        "clusters, while there is one";
    CLUSTER_REPLACEMENTS: Counter "kafka_optimizer_cluster_replacements_total" ["kafka_cluster"]
        "Times that the name stood for another Kafka cluster than before", "clusters";
    ORPHANED_RUNS: Gauge "kafka_optimizer_orphaned_runs" ["kafka_cluster"]
        "Runs with a change in effect, or stuck, on a cluster that is not configured",
        "clusters that are not configured, while there are such runs";
    TEMPORARY_OVERDUE: Gauge "kafka_optimizer_temporary_change_overdue_seconds"
        ["kafka_cluster", "run"]
        "How long ago the time of a temporary change ended that is still in effect",
        "at most 50 for each cluster, while overdue";
    STORE_WRITE: Histogram "kafka_optimizer_store_write_seconds" []
        "How long a transaction of the store took", "one";
    STORE_USABLE: Gauge "kafka_optimizer_store_usable" []
        "1 if the state store could be read and written when it was last used", "one";
    CONFIG_SUCCESSFUL: Gauge "kafka_optimizer_config_last_reload_successful" []
        "1 if the configuration was accepted when it was last loaded or reloaded", "one";
    CONFIG_SUCCESS_TIMESTAMP: Gauge
        "kafka_optimizer_config_last_reload_success_timestamp_seconds" []
        "When a configuration was last accepted, as a Unix time", "one";
    PROCESS_CPU: Counter "process_cpu_seconds_total" []
        "Total user and system CPU time spent in seconds", "one";
    PROCESS_RSS: Gauge "process_resident_memory_bytes" []
        "Resident memory size in bytes", "one";
    PROCESS_FDS: Gauge "process_open_fds" []
        "Number of open file descriptors", "one";
    PROCESS_FDS_MAX: Gauge "process_max_fds" []
        "Maximum number of open file descriptors", "one";
    PROCESS_START: Gauge "process_start_time_seconds" []
        "Start time of the process since unix epoch in seconds", "one";
}
