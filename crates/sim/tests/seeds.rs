//! A fixed number of seeds, those that found something by name, and bugs that are put in on purpose, each of
//! which a checker has to find.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot run its seeds fails")]

use portolan_sim::check::Law;
use portolan_sim::fault::Bug;
use portolan_sim::open::{OPEN, is_open};
use portolan_sim::setting::{GRAPH, JOINS, LATER, Setting, WIDE};
use portolan_sim::shrink::shrink;
use portolan_sim::step::steps;
use portolan_sim::world::{Ran, Template};

/// Seeds of every test run, and as many that draw what they are made of; `cargo xtask sim` runs others.
const SEEDS: u64 = 800;
/// Those with all steps besides.
const SEEDS_LATER: u64 = 400;
/// Those whose target is a Graph.
const SEEDS_OF_GRAPH: u64 = 100;
/// Those in which people have objects in two forests.
const SEEDS_OF_JOINS: u64 = 200;
/// Seeds in which a bug that is put in has to be found.
const SEEDS_OF_BUG: u64 = 40;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

async fn run(template: &Template, seed: u64) -> Ran {
    template.run(seed, &steps(seed), None).await.unwrap()
}

/// Runs a seed that found something once, and says what it did when it does so again.
fn check(seed: u64) {
    block_on(async {
        let template = Template::make().await.unwrap();
        let ran = run(&template, seed).await;
        if let Some(violation) = ran.violation {
            let law = violation.law;
            let (_, ran) = shrink(&template, seed, steps(seed), None, law).await.unwrap();
            let trace = ran.trace.join("\n");
            panic!("{violation}\n{trace}\nagain: cargo xtask sim --seed {seed}");
        }
    });
}

/// Some of the first seeds finds a bug, by this law.
fn finds(bug: Bug, laws: &[Law]) {
    finds_from(0, bug, laws);
}

/// A seed in which the tenant is restored behind a server that had learnt what another one wrote.
const RESTORED_BEHIND: u64 = 10_197;

/// Some seed from one on does.
fn finds_from(first: u64, bug: Bug, laws: &[Law]) {
    block_on(async {
        let template = Template::make().await.unwrap();
        for seed in first..first + SEEDS_OF_BUG {
            let ran = template.run(seed, &steps(seed), Some(bug)).await.unwrap();
            if ran.violation.is_some_and(|violation| laws.contains(&violation.law)) {
                return;
            }
        }
        panic!("{bug:?} is not found in {SEEDS_OF_BUG} seeds");
    });
}

/// Runs every eighth seed of each sort from one on, and names all that break a law.
fn eighth(first: u64) {
    block_on(async {
        let template = Template::make().await.unwrap();
        let (mut seeds, mut cycles, mut failed) = (0, 0, Vec::new());
        let sorts = [
            (0, SEEDS),
            (WIDE, SEEDS),
            (LATER, SEEDS_LATER),
            (GRAPH, SEEDS_OF_GRAPH),
            (JOINS, SEEDS_OF_JOINS),
        ];
        for (begins, count) in sorts {
            let all = (begins + first..begins + count).step_by(8);
            for seed in all.filter(|seed| !is_open(*seed)) {
                let ran = run(&template, seed).await;
                (seeds, cycles) = (seeds + 1, cycles + ran.cycles);
                if let Some(violation) = ran.violation {
                    let again = format!("again: cargo xtask sim --seed {seed}");
                    failed.push(format!("seed {seed}: {violation}\n  {again}"));
                }
            }
        }
        println!("{seeds} seeds, {cycles} cycles");
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    });
}

// In eighths, which the test runner spreads over the cores.

#[test]
fn no_seed_of_the_first_eighth_breaks_a_law() {
    eighth(0);
}

#[test]
fn no_seed_of_the_second_eighth_breaks_a_law() {
    eighth(1);
}

#[test]
fn no_seed_of_the_third_eighth_breaks_a_law() {
    eighth(2);
}

#[test]
fn no_seed_of_the_fourth_eighth_breaks_a_law() {
    eighth(3);
}

#[test]
fn no_seed_of_the_fifth_eighth_breaks_a_law() {
    eighth(4);
}

#[test]
fn no_seed_of_the_sixth_eighth_breaks_a_law() {
    eighth(5);
}

#[test]
fn no_seed_of_the_seventh_eighth_breaks_a_law() {
    eighth(6);
}

#[test]
fn no_seed_of_the_last_eighth_breaks_a_law() {
    eighth(7);
}

/// One that does not leaves the list: it becomes a test by name.
#[test]
fn each_open_seed_still_breaks_its_law() {
    block_on(async {
        let template = Template::make().await.unwrap();
        for (seed, law) in OPEN {
            let ran = run(&template, seed).await;
            assert_eq!(ran.violation.map(|violation| violation.law), Some(law), "seed {seed}");
        }
    });
}

#[test]
fn a_seed_is_the_same_run_again() {
    block_on(async {
        let template = Template::make().await.unwrap();
        let (one, other) = (run(&template, 3).await, run(&template, 3).await);
        assert_eq!(one.trace, other.trace);
        assert!(one.trace.len() > 10 && one.cycles > 3);
    });
}

#[test]
fn a_seed_whose_target_is_a_graph_is_the_same_run_again() {
    block_on(async {
        let template = Template::make().await.unwrap();
        for seed in GRAPH..GRAPH + 3 {
            let (one, other) = (run(&template, seed).await, run(&template, seed).await);
            assert_eq!(one.trace, other.trace);
            assert!(one.trace.len() > 10 && one.cycles > 2);
        }
    });
}

#[test]
fn a_server_that_does_not_wait_as_graph_tells_it_is_found() {
    finds_from(GRAPH, Bug::IgnoresRetryAfter, &[Law::WaitsAsTold]);
}

#[test]
fn a_server_that_waits_longer_than_the_limits_of_graph_make_it_is_found() {
    finds_from(GRAPH, Bug::Oversleeps, &[Law::TakesNoLonger]);
}

#[test]
fn a_server_that_does_not_know_again_what_it_made_at_graph_is_found() {
    finds_from(GRAPH, Bug::MakesUnderOtherNames, &[Law::NothingDoubled, Law::AnchorsStay]);
}

#[test]
fn an_acknowledged_operation_that_is_not_written_is_found() {
    finds(Bug::LosesAcknowledged, &[Law::NothingLost]);
}

#[test]
fn an_object_that_is_written_twice_is_found() {
    finds(Bug::WritesTwice, &[Law::NothingDoubled]);
}

#[test]
fn an_object_that_is_deleted_without_a_cause_is_found() {
    finds(Bug::DeletesUnasked, &[Law::NothingLost]);
    finds(Bug::SendsDeletion, &[Law::NoDeletionWithoutACause]);
}

#[test]
fn a_member_that_nobody_added_is_found() {
    finds(Bug::AddsMember, &[Law::NothingDoubled]);
}

#[test]
fn another_anchor_is_found() {
    finds(Bug::ChangesAnchor, &[Law::AnchorsStay]);
}

#[test]
fn another_answer_to_the_same_batch_is_found() {
    finds(Bug::AnswersOtherwise, &[Law::AnswersStay]);
}

#[test]
fn a_server_that_never_rests_is_found() {
    finds(Bug::NeverQuiet, &[Law::ComesToRest]);
}

#[test]
fn a_server_that_ignores_the_guard_is_found() {
    finds_from(WIDE, Bug::IgnoresGuard, &[Law::LosesNoMoreThanAllowed]);
}

#[test]
fn a_forest_that_does_not_answer_and_is_taken_for_empty_is_found() {
    finds_from(WIDE, Bug::TakesUnreadForEmpty, &[Law::NoDeletionWithoutACause]);
}

#[test]
fn a_batch_of_a_server_that_was_overtaken_is_found() {
    finds_from(WIDE, Bug::IgnoresEpoch, &[Law::NothingLateIsWritten]);
}

#[test]
fn a_lease_that_comes_again_in_a_restored_tenant_is_found() {
    finds_from(RESTORED_BEHIND, Bug::RepeatsLeases, &[Law::NothingLost, Law::NothingDoubled]);
}

#[test]
fn a_server_that_takes_over_and_does_not_learn_what_the_tenant_has_is_found() {
    finds_from(WIDE, Bug::ConfirmsNothing, &[Law::NothingDoubled]);
}

#[test]
fn a_controller_that_lags_behind_and_is_believed_is_found() {
    finds_from(LATER, Bug::IgnoresVector, &[Law::NoDeletionWithoutACause]);
}

#[test]
fn a_server_that_writes_in_staging_mode_is_found() {
    finds_from(LATER, Bug::IgnoresStaging, &[Law::StagingWritesNothing]);
}

#[test]
fn people_who_are_joined_by_what_is_no_sign_of_who_they_are_are_found() {
    finds_from(JOINS, Bug::JoinsStrangers, &[Law::JoinsWhatMatches]);
}

#[test]
fn people_who_are_not_joined_are_found() {
    finds_from(JOINS, Bug::JoinsNobody, &[Law::JoinsAllThatMatch]);
}

#[test]
fn people_who_are_one_person_no_more_are_found() {
    finds_from(JOINS, Bug::ForgetsJoins, &[Law::JoinsStay]);
}

/// A member was added, the answer was lost, and the member was taken out again: the tenant kept it.
#[test]
fn a_member_whose_coming_was_not_answered_goes() {
    check(61);
}

/// A user was made, the answer was lost, and the user went out of scope: the tenant kept it.
#[test]
fn an_object_whose_making_was_not_answered_goes() {
    check(107);
}

/// A user was deleted, the answer was lost, and the user was restored: the tenant never got it back.
#[test]
fn an_object_whose_deletion_was_not_answered_comes_back() {
    check(44);
}

/// The server's state was restored from a backup of before a user was made: the user's own object in the
/// tenant was taken for another one's, and deleted.
#[test]
fn an_object_that_a_restored_state_does_not_know_is_adopted() {
    check(83);
}

/// The same with a contact.
#[test]
fn a_contact_that_a_restored_state_does_not_know_is_adopted() {
    check(115);
}

/// A state from before everything was restored, with a tenant that has objects: what was deleted in the forest
/// meanwhile stayed in the tenant.
#[test]
fn a_state_that_knows_of_nothing_asks_what_the_tenant_has() {
    check(127);
}

/// The tenant was restored from a backup while a user's anchor was held: the user was deleted there.
#[test]
fn an_object_whose_anchor_is_held_is_not_deleted_in_a_restored_tenant() {
    check(33);
}

/// The same, where what was sent never arrived.
#[test]
fn an_object_whose_anchor_is_held_stays_when_nothing_arrived() {
    check(27);
}

/// The tenant was restored twice while a user's anchor was held: the state did not read back any more.
#[test]
fn a_tenant_that_is_restored_twice_leaves_the_state_whole() {
    check(154);
}

/// A manager was deleted and restored: nobody had the manager any more.
#[test]
fn a_manager_who_is_back_is_the_manager_again() {
    check(69);
}

/// A tenant that was restored had a user's manager, the user's name was refused, and the manager was sent all
/// the same: it went with everything else when the user was written anew.
#[test]
fn a_manager_waits_until_who_has_it_is_written_anew() {
    check(133);
    check(223);
}

/// What a batch did was kept, that it was answered was not, and the tenant was restored to what it was before
/// the batch: nothing of it was ever sent again.
#[test]
fn a_batch_that_is_lost_after_it_was_kept_is_missed() {
    check(190);
}

/// The server's state was restored to one that did not know a user, whose anchor had changed since: nobody knows
/// that the object in the tenant is the user's, and the checkers expect nobody to.
#[test]
fn a_user_whose_anchor_changed_while_the_state_was_lost_is_another_one() {
    check(519);
}

/// Users were made, the answer was lost, and all of them went out of the forest at once: they were deleted in the
/// tenant again, past the guard, which had looked before.
#[test]
fn what_is_undone_because_nobody_answered_passes_the_guard_first() {
    check(10_011);
}

/// The tenant was restored to what it was before the second server wrote, and gave the first one an epoch again
/// under which it had learnt what the second one wrote: nothing of it was missed.
#[test]
fn a_tenant_that_is_restored_behind_a_server_that_only_confirmed_is_confirmed_again() {
    check(RESTORED_BEHIND);
}

/// Users were made at Graph, the answer was lost, and all of them went out of the forest at once: they were deleted at
/// Graph again before the guard was asked.
#[test]
fn what_graph_made_and_nobody_wishes_for_passes_the_guard_first() {
    check(20_011);
}

/// Graph was not available, told to come again later, and the next thing that was sent did not wait for it.
#[test]
fn what_graph_says_to_wait_is_waited_by_whatever_is_sent_next() {
    check(20_072);
}

/// An answer that said to wait was read while a batch stood ready that had not gone out yet.
#[test]
fn a_batch_goes_out_before_the_next_answer_is_read() {
    check(20_009);
    check(20_023);
}

/// A group that is a member of itself: Graph takes no such thing, and says so of it alone.
#[test]
fn a_group_that_is_a_member_of_itself_is_exported_without() {
    check(20_003);
}

/// Someone joined what their batch had let go of a moment before: the cycle broke off, and so did each one behind it.
#[test]
fn what_an_object_joins_is_asked_for_again_when_its_batch_changed_it() {
    check(20_044);
    check(10_673);
    check(10_719);
}

/// Graph refused one member, and all who came with it counted as refused: who went out of the group then stayed in it.
#[test]
fn who_came_while_another_one_was_refused_is_known_to_have_come() {
    check(20_273);
}

/// A state was lost, and somebody's manager taken away before the next one was read: of somebody who is given none the
/// manager is others' to say at a Graph (`docs/safety.md`), and the law asked for more.
#[test]
fn a_manager_whom_a_lost_state_gave_is_others_to_say() {
    check(20_219);
}

/// A server takes over that did not read what another one had: of a controller that lags behind, or under the anchor that
/// an object had.
fn of_predecessor(seed: u64) {
    assert!(Setting::of(seed).has_second);
    check(seed);
}

#[test]
fn who_takes_over_in_full_from_a_controller_that_lags_behind_deletes_nobody() {
    of_predecessor(100_146);
}

#[test]
fn who_takes_over_one_of_two_forests_from_a_controller_that_lags_behind_deletes_nobody() {
    of_predecessor(100_001);
}

#[test]
fn who_takes_over_from_a_controller_that_lags_behind_deletes_nobody() {
    for seed in [100_157, 100_175, 100_220, 100_248, 100_265, 100_276, 100_339] {
        of_predecessor(seed);
    }
}

#[test]
fn a_server_that_takes_over_and_is_not_told_how_far_was_read_is_found() {
    finds_from(100_146, Bug::IgnoresPredecessor, &[Law::NoDeletionWithoutACause]);
}

#[test]
fn what_another_server_wrote_keeps_its_anchor_when_the_forest_gives_another_one() {
    for seed in [10_478, 10_713, 100_348] {
        of_predecessor(seed);
    }
}

#[test]
fn what_is_refused_under_another_anchor_is_not_deleted_for_it() {
    for seed in [10_262, 100_149] {
        of_predecessor(seed);
    }
}

/// An account of another forest was a member of a group, and had a person with an account of the group's own forest:
/// the place of whoever stands for it there was taken.
#[test]
fn who_stands_for_an_account_takes_nobodys_place() {
    check(1_000_001);
    check(1_000_020);
    check(1_000_112);
    check(1_000_131);
}

/// A member of a group went before the tenant had been told that it came, and the person stayed because of another
/// account: it became a member.
#[test]
fn a_member_that_went_before_it_was_sent_does_not_come() {
    check(1_000_017);
}

/// An account with a manager was joined by one without, whose word counts, before the manager was sent.
#[test]
fn a_manager_who_is_not_wished_for_any_more_is_not_sent() {
    check(1_000_089);
}

/// The server's state was lost, and accounts that had been two persons had one address by then: one of them was deleted
/// in the tenant.
#[test]
fn who_was_two_persons_is_two_again_when_the_state_is_lost() {
    check(1_000_060);
    check(1_000_132);
}

/// Users were deleted and the answer was lost: they left the state without being counted, and the guard let as many
/// more go.
#[test]
fn deletions_that_nobody_answered_count_as_lost() {
    check(10_278);
    check(10_397);
    check(10_579);
    check(10_620);
}

/// A manager was deleted, came back and was given somebody to manage, before it was known that the deletion had been
/// done: then it was made again, and what referred to it was not.
#[test]
fn who_comes_back_before_a_deletion_is_known_is_referred_to_again() {
    check(751);
}
