//! The verdict: medians of before and after, against the noise of before and the load of both
//! (I24, ADR 0019). Pure.

use crate::{
    model::Verdict,
    playbook::{Better, Objective, SAMPLES_MIN},
    store::Measurement,
};

/// How far the load may fall or rise before it explains a difference by itself.
const LOAD_CHANGE_MAX: f64 = 0.2;
/// How many times the load of before it may be after. Beyond, there was next to no load before, and
/// its few requests say nothing of the many after: the first ones of a broker that was just started
/// are the slowest that it has. Clients that wait for each answer send at most as many times more
/// as the answers are quicker (Little's law); a rise up to there is the change's own doing.
const LOAD_RATIO_MAX: f64 = 10.0;
/// How many median absolute deviations of the baseline a difference must exceed to be more than
/// noise.
const NOISE_FACTOR: f64 = 2.0;

const FEW: &str = "too few samples before or after";
/// Better while it fell, or worse while it rose.
const LOAD_ALONE: &str = "the load alone may have made the difference";

/// The middle value; of an even number, the mean of the two.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get((sorted.len() / 2).checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

/// The median absolute deviation from the median.
pub(super) fn deviation(values: &[f64]) -> Option<f64> {
    let middle = median(values)?;
    let distances: Vec<f64> = values.iter().map(|it| (it - middle).abs()).collect();
    median(&distances)
}

/// Compares the observation with the baseline that `measured` holds; fills in what was observed.
///
/// # Errors
///
/// Why the samples do not tell: the verdict is `inconclusive`.
pub(super) fn judge(
    measured: &mut Measurement,
    observed: &[f64],
    observed_load: &[f64],
    objective: &Objective,
) -> Result<Verdict, &'static str> {
    measured.observed_median = median(observed);
    measured.load_change = match (measured.baseline_load, median(observed_load)) {
        (Some(before), Some(after)) => relative(before, after),
        _ => None,
    };
    let sides = (measured.baseline_median, measured.observed_median);
    let fewest = usize::from(SAMPLES_MIN);
    let (Some(before), Some(after)) = sides else { return Err(FEW) };
    if observed.len() < fewest || measured.baseline.len() < fewest {
        return Err(FEW);
    }
    let gain = match objective.better {
        Better::Lower => before - after,
        Better::Higher => after - before,
    };
    // From nothing there is no share to gain; any loss is one past every threshold.
    let effect = if before == 0.0 {
        gain.signum() * f64::from(u8::from(gain != 0.0))
    } else {
        gain / before.abs()
    };
    measured.effect = Some(effect);
    let noise = NOISE_FACTOR * measured.baseline_mad.unwrap_or(0.0);
    if effect.abs() < objective.at_least || gain.abs() <= noise {
        return Ok(Verdict::Neutral);
    }
    let change = measured.load_change.ok_or("the load is unknown, or rose from 0")?;
    if effect < 0.0 {
        return if LOAD_CHANGE_MAX < change { Err(LOAD_ALONE) } else { Ok(Verdict::Regressed) };
    }
    let better = match objective.better {
        Better::Lower => before / after,
        Better::Higher => after / before,
    };
    if change < -LOAD_CHANGE_MAX {
        Err(LOAD_ALONE)
    } else if LOAD_RATIO_MAX.max(better) < 1.0 + change {
        Err("there was next to no load before, which says nothing of this one")
    } else {
        Ok(Verdict::Improved)
    }
}

fn relative(before: f64, after: f64) -> Option<f64> {
    if before == 0.0 {
        (after == 0.0).then_some(0.0)
    } else {
        Some((after - before) / before.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::Template;

    type Judged = (Result<Verdict, &'static str>, Measurement);

    fn judged(before: &[f64], after: &[f64], loads: (Option<f64>, f64)) -> Judged {
        let objective =
            Objective { query: Template::new("up").unwrap(), better: Better::Lower, at_least: 0.2 };
        let mut measured = Measurement {
            baseline: before.to_vec(),
            baseline_median: median(before),
            baseline_mad: deviation(before),
            baseline_load: loads.0,
            ..Measurement::default()
        };
        (judge(&mut measured, after, &[loads.1; 6], &objective), measured)
    }

    #[track_caller]
    fn check(before: &[f64], after: &[f64], loads: (f64, f64), want: Verdict) -> Measurement {
        let (verdict, measured) = judged(before, after, (Some(loads.0), loads.1));
        assert_eq!(verdict.unwrap_or(Verdict::Inconclusive), want, "{measured:?}");
        measured
    }

    #[test]
    fn i24_medians_decide_and_one_spike_does_not() {
        let before = [100.0, 101.0, 99.0, 100.0, 900.0, 100.0];
        check(&before, &[50.0; 6], (10.0, 10.0), Verdict::Improved);
        check(&before, &[95.0, 96.0, 94.0, 95.0, 0.1, 95.0], (10.0, 10.0), Verdict::Neutral);
        check(&before, &[150.0; 6], (10.0, 10.0), Verdict::Regressed);
    }

    #[test]
    fn i24_a_difference_within_the_noise_of_before_is_none() {
        let noisy = [10.0, 200.0, 20.0, 190.0, 30.0, 180.0, 100.0];
        check(&noisy, &[60.0; 6], (10.0, 10.0), Verdict::Neutral);
    }

    #[test]
    fn i24_fewer_than_six_samples_on_a_side_are_inconclusive() {
        check(&[100.0; 6], &[50.0; 5], (10.0, 10.0), Verdict::Inconclusive);
        check(&[100.0; 5], &[50.0; 6], (10.0, 10.0), Verdict::Inconclusive);
        check(&[100.0; 6], &[], (10.0, 10.0), Verdict::Inconclusive);
    }

    #[test]
    fn i24_load_makes_inconclusive_only_what_it_explains() {
        check(&[100.0; 6], &[50.0; 6], (10.0, 7.0), Verdict::Inconclusive);
        check(&[100.0; 6], &[50.0; 6], (10.0, 20.0), Verdict::Improved);
        check(&[100.0; 6], &[150.0; 6], (10.0, 20.0), Verdict::Inconclusive);
        check(&[100.0; 6], &[150.0; 6], (10.0, 7.0), Verdict::Regressed);
        check(&[100.0; 6], &[100.0; 6], (10.0, 1.0), Verdict::Neutral);
    }

    #[test]
    fn i24_next_to_no_load_before_is_nothing_to_compare_with() {
        check(&[100.0; 6], &[50.0; 6], (10.0, 99.0), Verdict::Improved);
        check(&[100.0; 6], &[50.0; 6], (10.0, 101.0), Verdict::Inconclusive);
        // As much as clients that wait for their answers make of an improvement, and more.
        check(&[100.0; 6], &[2.0; 6], (10.0, 499.0), Verdict::Improved);
        check(&[100.0; 6], &[2.0; 6], (10.0, 501.0), Verdict::Inconclusive);
        check(&[100.0; 6], &[0.0; 6], (10.0, 501.0), Verdict::Improved);
        check(&[100.0; 6], &[50.0; 6], (0.0, 10.0), Verdict::Inconclusive);
    }

    #[test]
    fn i24_what_cannot_be_told_says_why() {
        let why = |(before, after), loads| judged(&[before; 6], &[after; 6], loads).0.unwrap_err();
        assert!(why((100.0, 50.0), (None, 10.0)).contains("unknown"));
        assert_eq!(why((100.0, 50.0), (Some(10.0), 7.0)), LOAD_ALONE);
        assert_eq!(why((100.0, 150.0), (Some(10.0), 20.0)), LOAD_ALONE);
        assert!(why((100.0, 50.0), (Some(10.0), 200.0)).contains("next to no load"));
        assert_eq!(judged(&[100.0; 6], &[50.0; 5], (Some(10.0), 10.0)).0, Err(FEW));
    }

    #[test]
    fn the_numbers_of_the_verdict_are_kept() {
        let measured = check(&[100.0; 6], &[50.0; 6], (10.0, 11.0), Verdict::Improved);
        assert_eq!(measured.effect, Some(0.5));
        assert!((measured.load_change.unwrap() - 0.1).abs() < 1e-9);
    }

    #[test]
    fn from_nothing_only_a_loss_can_be_told() {
        check(&[0.0; 6], &[0.0; 6], (1.0, 1.0), Verdict::Neutral);
        check(&[0.0; 6], &[5.0; 6], (1.0, 1.0), Verdict::Regressed);
    }
}
