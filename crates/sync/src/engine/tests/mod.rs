//! The engine against a model that is naive and obviously right.

mod cases;
mod driver;
mod model;
mod plans;
mod sources;
mod worlds;

use proptest::prelude::*;

use self::driver::Driver;
use self::model::Model;
use self::worlds::{SOURCE_ANCHOR, World, systems, worlds};
use super::Engine;

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// The engine decides about what changed alone; the model makes everything anew.
    #[test]
    fn what_is_decided_step_by_step_is_what_the_whole_comes_to(world in worlds()) {
        let World { rules, meanings, steps } = &world;
        let systems = systems();
        let engine = Engine::new(rules, &systems, SOURCE_ANCHOR);
        let (mut driver, mut model) = (Driver::new(engine), Model::new(rules, meanings, &systems));
        for step in steps {
            driver.step(step);
            model.step(step);
            prop_assert_eq!(&driver.links(), model.links());
            prop_assert_eq!(&driver.metaverse(), model.metaverse());
            prop_assert_eq!(&driver.targets(), model.targets());
            prop_assert_eq!(driver.edges(), model.edges());
            prop_assert_eq!(driver.anchors(), model.anchors());
            driver.decide_all_again();
            if step.export {
                driver.export();
                model.export();
            }
        }
    }
}
