//! Who comes back from the recycle bin is who they were, whatever goes wrong on the way.

use super::*;

/// Ann was deleted, and is to be made again: what becomes of it, and who is there then.
fn again(
    settings: Settings,
    weather: Weather,
    number: u64,
) -> (Outcome, Vec<(String, Guid)>, Guid) {
    let (mut graph, mut seed) = (Graph::new(weather), Seed(number));
    let (_, known, _) =
        export(&mut graph, weather, vec![user("ann"), user("bob")], Known::new(), &mut seed);
    let id = known[&anchor("ann")];
    let gone = Change::Delete { anchor: anchor("ann"), kind: TenantKind::User };
    let (_, known, _) = export(&mut graph, weather, vec![gone], known, &mut seed);
    assert!(graph.deleted.contains_key(&id), "seed {number}");
    let back = object(
        "ann",
        TenantKind::User,
        &[("userPrincipalName", text("ann@corp.example")), ("jobTitle", text("Chief"))],
    );
    let (outcomes, ..) = export_by(settings, &mut graph, weather, vec![back], known, &mut seed);
    let there = graph.users.iter().map(|(id, user)| (user.anchor.clone(), *id)).collect();
    if outcomes[0].is_done() {
        assert_eq!(graph.users[&id].title.as_deref(), Some("Chief"), "seed {number}");
    }
    (outcomes.into_iter().next().unwrap(), there, id)
}

#[test]
fn who_comes_back_is_who_they_were_in_any_weather() {
    for number in 0..100 {
        for weather in [FAIR, FOUL, LATE] {
            let (outcome, there, id) = again(settings(), weather, number);
            assert!(outcome.is_done() && outcome.is_restored, "seed {number}: {outcome:?}");
            assert_eq!(outcome.id, Some(id), "seed {number}");
            let anns: Vec<_> = there.iter().filter(|(anchor, _)| anchor == "ann").collect();
            assert_eq!(anns, [&("ann".to_owned(), id)], "seed {number}: one, and the same");
        }
    }
}

#[test]
fn who_is_not_to_be_taken_out_of_the_recycle_bin_is_told() {
    let settings = Settings { restores_deleted: false, ..settings() };
    let (outcome, there, _) = again(settings, FAIR, 1);
    assert_eq!(outcome.faults, [Fault::Taken("onPremisesImmutableId".to_owned())]);
    assert!(!outcome.is_restored && there.iter().all(|(anchor, _)| anchor != "ann"));
}

#[test]
fn who_comes_back_while_another_one_has_their_name_is_told() {
    let (mut graph, mut seed) = (Graph::new(FAIR), Seed(1));
    let (_, known, _) = export(&mut graph, FAIR, vec![user("ann")], Known::new(), &mut seed);
    let gone = Change::Delete { anchor: anchor("ann"), kind: TenantKind::User };
    let changes = vec![gone, user_named("other", "ann")];
    let (outcomes, known, _) = export(&mut graph, FAIR, changes, known, &mut seed);
    assert!(outcomes.iter().all(Outcome::is_done), "{outcomes:?}");
    let back = user_named("ann", "ann.new");
    let (outcomes, ..) = export(&mut graph, FAIR, vec![back], known, &mut seed);
    let taken = Fault::Taken("userPrincipalName".to_owned());
    assert_eq!((&outcomes[0].faults, outcomes[0].is_restored), (&vec![taken], false));
    assert_eq!((graph.users.len(), graph.deleted.len()), (1, 1));
}
