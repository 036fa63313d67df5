//! What holds for any input: nothing panics, nothing that is refused changes a state, order is all that counts.

use proptest::prelude::*;
use wavetank_models::drift::{AdwinSettings, Detector, DetectorSettings, DriftDetector, PageHinkleySettings};
use wavetank_models::evaluation::{ClassMetrics, Memory};
use wavetank_models::gate::Gate;
use wavetank_models::online::{HoeffdingTree, HoeffdingTreeSettings, OnlineModel};
use wavetank_models::pmml::{Limits, PmmlModel};
use wavetank_models::pretrained::{OnBadRow, Pretrained, Table};
use wavetank_models::{Label, Learner, Predictor, Schema, Target, state};

fn schema() -> Schema {
    let classes = vec!["no".into(), "yes".into()];
    Schema::numbers(
        ["a", "b"],
        Target::Class {
            name: "y".into(),
            classes,
        },
    )
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn bytes_that_nobody_saved_do_not_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(state::restore::<OnlineModel>(&bytes).is_err());
        prop_assert!(state::restore::<Gate>(&bytes).is_err());
        prop_assert!(Pretrained::from_bytes(&bytes).is_err());
    }

    #[test]
    fn a_text_is_a_document_or_refused_and_never_a_panic(
        text in "(<[A-Za-z/?!]{0,8}( [a-z]{1,4}=\"[^<\"]{0,4}\")?/?>|[a-z&;#<>\\]\\[]{0,5}){0,12}",
    ) {
        let _ = PmmlModel::read(text.as_bytes(), &Limits::default());
        let _ = Table::from_csv(text.as_bytes(), schema(), OnBadRow::Skip);
    }

    #[test]
    fn any_numbers_are_learned_or_refused_and_a_restored_tree_is_the_same(
        rows in proptest::collection::vec((any::<f64>(), any::<f64>(), 0_usize..3), 1..80),
    ) {
        let settings = HoeffdingTreeSettings { grace_period: 7, tau: 0.9, ..Default::default() };
        let mut tree = HoeffdingTree::new(schema(), settings).unwrap();
        for (a, b, class) in rows {
            let before = state::save(&tree).unwrap();
            match tree.learn(&[a, b], Label::Class(class)) {
                Ok(()) => {}
                Err(_) => prop_assert_eq!(&state::save(&tree).unwrap(), &before),
            }
            let restored: HoeffdingTree = state::restore(&state::save(&tree).unwrap()).unwrap();
            prop_assert_eq!(restored.predict(&[0.5, -0.5]), tree.predict(&[0.5, -0.5]));
        }
    }

    #[test]
    fn any_numbers_are_taken_by_a_detector_or_refused(values in proptest::collection::vec(any::<f64>(), 1..300)) {
        let settings = [
            DetectorSettings::Adwin(AdwinSettings { clock: 1, ..Default::default() }),
            DetectorSettings::PageHinkley(PageHinkleySettings::default()),
        ];
        for settings in settings {
            let mut detector = Detector::new(settings).unwrap();
            for value in &values {
                let before = state::save(&detector).unwrap();
                if detector.update(*value).is_err() {
                    prop_assert_eq!(&state::save(&detector).unwrap(), &before);
                    prop_assert!(!value.is_finite());
                }
            }
        }
    }

    #[test]
    fn a_window_knows_the_last_events_only(
        pairs in proptest::collection::vec((0_usize..3, 0_usize..3), 1..60), length in 1_usize..20,
    ) {
        let mut window = ClassMetrics::new(3, Memory::Window(length)).unwrap();
        let mut last = ClassMetrics::new(3, Memory::All).unwrap();
        pairs.iter().for_each(|(t, p)| window.update(*t, *p).unwrap());
        pairs[pairs.len().saturating_sub(length)..].iter().for_each(|(t, p)| last.update(*t, *p).unwrap());
        prop_assert_eq!(window.accuracy(), last.accuracy());
        prop_assert_eq!(window.kappa(), last.kappa());
        prop_assert_eq!(window.macro_f1(), last.macro_f1());
    }
}
