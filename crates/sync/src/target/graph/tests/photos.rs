//! Photos go by requests of their own, behind their users, and arrive in any weather.

use super::*;

fn photo(name: &str, octets: Option<&[u8]>) -> Change {
    let picture = |octets: &[u8]| Picture { media_type: "image/gif", octets: octets.to_vec() };
    Change::Photo { user: anchor(name), photo: octets.map(picture) }
}

#[test]
fn a_photo_arrives_behind_its_user_and_goes_again_in_any_weather() {
    for number in 0..60 {
        for weather in [FAIR, FOUL, LATE] {
            let (mut graph, mut seed) = (Graph::new(weather), Seed(number));
            let names: Vec<_> = (0..30).map(|number| format!("u{number:02}")).collect();
            let mut changes: Vec<_> =
                names.iter().map(|name| photo(name, Some(name.as_bytes()))).collect();
            changes.extend(names.iter().map(|name| user(name)));
            let none = Known::new();
            let (outcomes, known, _) = export(&mut graph, weather, changes, none, &mut seed);
            assert!(outcomes.iter().all(Outcome::is_done), "seed {number}: {outcomes:?}");
            for name in &names {
                let held = &graph.photos[&known[&anchor(name)]];
                assert_eq!(held, name.as_bytes(), "seed {number}");
            }
            // One goes, one is another, and one was never there.
            let changes =
                vec![photo("u00", None), photo("u01", Some(b"other")), photo("u00", None)];
            let (outcomes, ..) = export(&mut graph, weather, changes, known.clone(), &mut seed);
            assert!(outcomes.iter().all(Outcome::is_done), "seed {number}: {outcomes:?}");
            assert_eq!(graph.photos.len(), 29, "seed {number}");
            assert_eq!(graph.photos[&known[&anchor("u01")]], b"other", "seed {number}");
        }
    }
}

#[test]
fn a_photo_of_nobody_is_told() {
    let changes = vec![photo("nobody", Some(b"x"))];
    assert_eq!(faults(changes)[0], [Fault::Absent(anchor("nobody"))]);
}
