//! Wrong passwords: whom they stop, for how long, and what their check tells.

use super::*;

#[tokio::test]
async fn wrong_passwords_and_unknown_names_read_alike_and_lock_alike() {
    let mut world = World::new().await;
    for name in [ALICE, "nobody@corp.example", "no name at all"] {
        for attempt in 1..=11 {
            let page = world.sign_in(name, "wrong").await;
            let number = if attempt <= 10 { "AADSTS50126" } else { "AADSTS50053" };
            assert_eq!(page.status, 200);
            assert!(page.text.contains(number), "{name} {attempt}: {}", page.text);
            assert!(page.header("location").is_empty());
        }
    }
    assert!(world.sign_in(ALICE, PASSWORD).await.text.contains("AADSTS50053"));
    world.pass(61);
    assert!(world.sign_in(ALICE, PASSWORD).await.sent("code").is_some());
}

/// The sign-in page's number for an attempt, or `None` when it signs in.
async fn attempt(world: &mut World, name: &str, password: &str) -> Option<u32> {
    let page = world.sign_in(name, password).await;
    let number = |rule: Rule| page.text.contains(&format!("AADSTS{}", rule.number()));
    let found = [Rule::WrongPassword, Rule::Locked].into_iter().find(|rule| number(*rule));
    assert_eq!(found.is_none(), page.sent("code").is_some(), "{}", page.text);
    found.map(Rule::number)
}

async fn fail(world: &mut World, name: &str, times: u32) {
    for _ in 0..times {
        assert_eq!(attempt(world, name, "wrong").await, Some(50126), "{name}");
    }
}

const LOCKED: Option<u32> = Some(50053);

#[tokio::test]
async fn ten_wrong_passwords_lock_for_a_minute_that_doubles_and_outlasts_a_restart() {
    let mut world = World::new().await;
    fail(&mut world, ALICE, 10).await;
    for seconds in [60, 120, 240] {
        world.restart().await;
        assert_eq!(attempt(&mut world, ALICE, PASSWORD).await, LOCKED);
        world.pass(seconds - 1);
        assert_eq!(attempt(&mut world, ALICE, PASSWORD).await, LOCKED, "{seconds}");
        world.pass(1);
        assert_eq!(attempt(&mut world, ALICE, "wrong").await, Some(50126));
    }
    world.pass(480);
    assert_eq!(attempt(&mut world, ALICE, PASSWORD).await, None);
    fail(&mut world, ALICE, 9).await;
    assert_eq!(attempt(&mut world, ALICE, PASSWORD).await, None, "the count began anew");
}

#[tokio::test]
async fn who_locks_a_name_locks_it_for_themselves_alone() {
    let mut world = World::new().await;
    fail(&mut world, ALICE, 10).await;
    assert_eq!(attempt(&mut world, ALICE, PASSWORD).await, LOCKED);
    world.cookies.clear();
    world.address = [192, 0, 2, 8].into();
    assert_eq!(attempt(&mut world, ALICE, PASSWORD).await, None, "from another address");
    // One customer's IPv6 addresses are one.
    for host in 1..=10 {
        world.cookies.clear();
        world.address = format!("2001:db8:1:2::{host}").parse().unwrap();
        fail(&mut world, "bob@corp.example", 1).await;
    }
    assert_eq!(attempt(&mut world, "bob@corp.example", "wrong").await, LOCKED);
    world.address = "2001:db8:1:3::1".parse().unwrap();
    fail(&mut world, "bob@corp.example", 1).await;
}

#[tokio::test]
async fn a_familiar_browser_is_let_in_while_the_whole_world_guesses() {
    let mut world = World::new().await;
    assert_eq!(attempt(&mut world, ALICE, PASSWORD).await, None);
    let familiar = std::mem::take(&mut world.cookies);
    for host in 1..=50 {
        world.address = [198, 51, 100, host].into();
        world.cookies.clear();
        fail(&mut world, ALICE, 1).await;
    }
    world.address = [198, 51, 100, 99].into();
    world.cookies.clear();
    assert_eq!(
        attempt(&mut world, ALICE, PASSWORD).await,
        LOCKED,
        "a browser that is not familiar"
    );
    world.cookies.clone_from(&familiar);
    assert_eq!(attempt(&mut world, ALICE, PASSWORD).await, None, "hers, wherever it is");
    // Familiar at one name is not familiar at another.
    for host in 1..=50 {
        world.address = [198, 51, 100, host].into();
        world.cookies.clear();
        fail(&mut world, "bob@corp.example", 1).await;
    }
    world.cookies.clone_from(&familiar);
    assert_eq!(attempt(&mut world, "bob@corp.example", "x").await, LOCKED);
    // Nor is it let in for ever: it has a count of its own.
    fail(&mut world, ALICE, 10).await;
    assert_eq!(attempt(&mut world, ALICE, PASSWORD).await, LOCKED);
}

#[tokio::test]
async fn a_planted_device_cookie_is_replaced_and_makes_nothing_familiar() {
    let mut world = World::new().await;
    let planted = Opaque::draw(&mut SystemEntropy);
    let name = login::DEVICE_COOKIE.to_owned();
    world.cookies.insert(name.clone(), planted.expose().to_owned());
    assert_eq!(attempt(&mut world, ALICE, PASSWORD).await, None);
    let given = world.cookies[&name].clone();
    assert_ne!(given, planted.expose());
    assert_eq!(attempt(&mut world, ALICE, PASSWORD).await, None);
    assert_eq!(world.cookies[&name], given, "the tenant's own is kept");
}

#[tokio::test]
async fn an_address_that_tries_one_password_at_many_names_is_stopped_at_all_of_them() {
    let mut world = World::new().await;
    assert_eq!(attempt(&mut world, ALICE, PASSWORD).await, None);
    let familiar = std::mem::take(&mut world.cookies);
    for number in 0..100 {
        world.cookies.clear();
        fail(&mut world, &format!("user{number}@corp.example"), 1).await;
    }
    assert_eq!(attempt(&mut world, "another@corp.example", "x").await, LOCKED);
    assert_eq!(attempt(&mut world, ALICE, PASSWORD).await, LOCKED);
    world.cookies = familiar;
    assert_eq!(attempt(&mut world, ALICE, PASSWORD).await, None, "her own browser beside it");
    world.cookies.clear();
    world.address = [192, 0, 2, 8].into();
    assert_eq!(attempt(&mut world, ALICE, PASSWORD).await, None, "another address");
}

#[tokio::test]
async fn the_password_grant_is_counted_by_the_address_that_asks() {
    let mut world = World::new().await;
    let fields = |password| {
        [
            ("grant_type", "password"),
            ("username", ALICE),
            ("password", password),
            ("scope", "openid"),
        ]
    };
    for _ in 0..10 {
        assert_eq!(refusal(&world.token(&fields("wrong")).await), (400, 50126));
    }
    assert_eq!(refusal(&world.token(&fields(PASSWORD)).await), (400, 50053));
    world.address = [192, 0, 2, 8].into();
    assert_eq!(world.token(&fields(PASSWORD)).await.status, 200);
}
