//! What breaks in the forest while connect works, and that nothing is lost or doubled by it.

use portolan_lab::End;

use crate::holdings::{Forest, Tenant};
use crate::world::World;

#[test]
fn with_either_controller_gone_the_other_is_read_and_the_tenant_is_the_same() {
    let world = World::with_two_controllers("either");
    let mut road = world.road();
    road.tenant_up().unwrap();
    road.connect_up().unwrap();
    for (gone, added) in [("dc2", true), ("dc1", false)] {
        world.lab.stop_controller(gone, End::Hard).unwrap();
        let summary = road.connect_run().unwrap().success().unwrap().json().unwrap();
        assert_eq!(summary["added"] != 0, added, "without {gone}: {summary:#}");
        for count in ["updated", "deleted"] {
            assert_eq!(summary[count], 0, "without {gone}, {count}: {summary:#}");
        }
        world.lab.start_controller(gone).unwrap();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tenant = runtime.block_on(Tenant::read(&road));
    let forest = Forest::read(&road);
    tenant.equals(&forest);
    tenant.credentials_equal(&forest, &road.hashes_by_samba().unwrap());
    let capture = world.lab.capture().unwrap();
    assert!(capture.off_chart.is_empty(), "{:#?}", capture.off_chart);
}
