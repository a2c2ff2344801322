//! Groups of each protocol on a real cluster: type, state and members.

use std::time::Duration;

use kafka_optimizer::model::GroupState;

use super::{
    admin_client::{AdminClient, GroupKind},
    exporter::{ExporterProcess, ScrapedPage},
    member::{self, GroupMember},
    stack::variable,
};

const SOON: Duration = Duration::from_secs(20);
const MEMBERS: &str = "kafka_consumergroup_members";
const STATE: &str = "kafka_consumergroup_state";
const INFO: &str = "kafka_consumergroup_info";

/// The state that the page shows of `group`.
fn state(page: &ScrapedPage, group: &str) -> Option<&'static str> {
    let shown =
        |it: &&str| page.value(STATE, &[("consumergroup", group), ("state", it)]) == Some(1.0);
    GroupState::ALL.iter().map(|it| it.label()).find(shown)
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn classic_and_kip_848_groups_have_type_state_members_and_lag() {
    let (bootstrap, topic) = (variable("BOOTSTRAP"), "kinds");
    let admin = AdminClient::new(&bootstrap);
    admin.create(topic, &[&[1, 2, 3]]).await;
    admin.write(topic, 0, 10).await;
    let exporter = ExporterProcess::start(&bootstrap).await;

    for (group, protocol, group_type) in [
        ("kinds-classic", member::MemberProtocol::Classic, "classic"),
        ("kinds-consumer", member::MemberProtocol::Consumer, "consumer"),
    ] {
        admin.commit(group, topic, &[(0, 4)]).await;
        let joined = GroupMember::join(&bootstrap, protocol, group, topic).await;
        exporter
            .until("one stable member", SOON, |it| {
                let members = it.value(MEMBERS, &[("consumergroup", group)]);
                (members == Some(1.0) && state(it, group) == Some("stable")).then_some(())
            })
            .await;
        let page = exporter.next_round().await;
        let info = page.value(INFO, &[("consumergroup", group), ("group_type", group_type)]);

        assert_eq!(info, Some(1.0), "{group_type}");

        let lag = page.value("kafka_consumergroup_lag", &[("consumergroup", group)]);
        assert_eq!(lag, Some(6.0), "{group}");

        joined.leave().await;
        exporter
            .until("none", SOON, |it| {
                let members = it.value(MEMBERS, &[("consumergroup", group)]);
                (members == Some(0.0) && state(it, group) == Some("empty")).then_some(())
            })
            .await;
        admin.forget(group).await;
    }

    admin.delete(topic).await;
}

#[tokio::test]
#[ignore = "needs the live stack: run `make test`"]
async fn share_and_streams_groups_have_type_state_and_members_and_no_lag() {
    let (bootstrap, topic) = (variable("BOOTSTRAP"), "kinds-others");
    let admin = AdminClient::new(&bootstrap);
    admin.create(topic, &[&[1, 2, 3]]).await;
    admin.write(topic, 0, 10).await;
    let exporter = ExporterProcess::start(&bootstrap).await;

    for (group, protocol, group_type) in [
        ("kinds-share", GroupKind::Share, "share"),
        ("kinds-streams", GroupKind::Streams, "streams"),
    ] {
        let member = "00000000-0000-0000-0000-000000000001";
        admin.join(protocol, group, member, topic).await;
        let one = |it: &ScrapedPage| it.value(MEMBERS, &[("consumergroup", group)]) == Some(1.0);
        exporter.until("one member", SOON, |it| one(it).then_some(())).await;
        let page = exporter.next_round().await;
        println!("    {group_type}: {:?}", state(&page, group));

        // A member with a single heartbeat never acknowledges its assignment.
        let states = ["stable", "assigning", "reconciling", "not_ready"];
        assert!(state(&page, group).is_some_and(|it| states.contains(&it)), "{}", page.text);

        let info = page.value(INFO, &[("consumergroup", group), ("group_type", group_type)]);
        assert_eq!(info, Some(1.0), "{group_type}");
        assert_eq!(page.values("kafka_consumergroup_lag", &[("consumergroup", group)]).count(), 0);

        admin.leave(protocol, group, member, topic).await;
        let none = |it: &ScrapedPage| it.value(MEMBERS, &[("consumergroup", group)]) == Some(0.0);
        exporter.until("none", SOON, |it| none(it).then_some(())).await;
        admin.forget(group).await;
    }

    admin.delete(topic).await;
}
