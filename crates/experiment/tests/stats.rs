//! Statistics against values from `SciPy` 1.x (`scipy.stats`) and statsmodels, named beside each group.

use ridgeline_experiment::stats::{
    RESAMPLES, Summary, bca, cohens_d, drift, holm, least_squares, mann_whitney, mean, mean_interval, median,
    median_interval, median_interval_rank, minimum_detectable_effect, paired_t, percentile, ratio_of_medians,
    welch,
};

const A: [f64; 8] = [12.1, 11.8, 12.4, 12.0, 13.9, 11.9, 12.2, 12.05];
const B: [f64; 8] = [12.9, 12.7, 13.3, 12.6, 13.1, 12.8, 13.6, 12.95];
const C: [f64; 5] = [10.2, 10.9, 10.4, 11.0, 10.1];
const SKEW: [f64; 12] = [1.0, 1.1, 1.2, 1.15, 1.05, 1.3, 1.25, 2.9, 1.12, 1.18, 1.4, 1.22];

#[track_caller]
fn near(got: f64, want: f64, relative: f64) {
    assert!((got - want).abs() <= relative * want.abs(), "got {got}, want {want}");
}

#[test]
fn description_matches_numpy() {
    let s = Summary::of(&A).expect("eight finite values");
    assert_eq!(s.n, 8);
    near(s.mean, 12.29375, 1e-12);
    near(s.sd, 0.674_238_988_998_496_2, 1e-12);
    near(s.median, 12.075, 1e-12);
    near(s.mad, 0.15, 1e-10);
    near(s.p05, 11.835, 1e-12);
    near(s.p95, 13.375, 1e-12);
    near(s.p99, 13.795, 1e-12);
    near(percentile(&A, 25.0).expect("a percentage"), 11.975, 1e-12);
    assert_eq!((s.min, s.max), (11.8, 13.9));
}

#[test]
fn nothing_is_made_of_nothing() {
    assert_eq!(Summary::of(&[]), None);
    assert_eq!(Summary::of(&[1.0, f64::NAN]), None);
    assert_eq!(percentile(&A, 101.0), None);
    assert_eq!(mean_interval(&[1.0]), None);
    assert_eq!(median_interval(&[1.0]), None);
    assert_eq!(welch(&[1.0], &A), None);
    assert_eq!(welch(&[1.0, 1.0], &[1.0, 1.0]), None);
    assert_eq!(paired_t(&A, &C), None);
    assert_eq!(cohens_d(&[], &A), None);
    assert_eq!(least_squares(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]), None);
    assert_eq!(minimum_detectable_effect(1.0, 1, 0.05, 0.8), None);
}

#[test]
fn interval_of_the_mean_matches_student() {
    // scipy.stats.t.interval(0.95, 7, mean, sem)
    let i = mean_interval(&A).expect("eight values");
    near(i.lo, 11.730_072_099_018_79, 1e-9);
    near(i.hi, 12.857_427_900_981_207, 1e-9);
}

#[test]
fn interval_of_the_median_uses_the_binomial_ranks() {
    // scipy.stats.binom.cdf(k, n, 0.5) <= 0.025
    let ranks =
        [(5, None), (6, Some(1)), (8, Some(1)), (9, Some(2)), (10, Some(2)), (15, Some(4)), (20, Some(6))];
    for (n, rank) in ranks.into_iter().chain([(25, Some(8)), (50, Some(18)), (100, Some(40))]) {
        assert_eq!(median_interval_rank(n), rank, "n = {n}");
    }
    let i = median_interval(&SKEW).expect("twelve values");
    assert_eq!((i.value, i.lo, i.hi), (1.19, 1.1, 1.3));
    let few = median_interval(&C).expect("five values");
    assert_eq!((few.value, few.lo, few.hi), (10.4, 10.1, 11.0), "below six values: the range");
}

#[test]
fn bootstrap_matches_scipy() {
    // scipy.stats.bootstrap(method="BCa", n_resamples=200000); the tolerance is the spread over seeds.
    let m = bca(&A, mean, RESAMPLES, 7).expect("eight values");
    near(m.lo, 12.0125, 0.003);
    near(m.hi, 13.04375, 0.006);
    let s = bca(&SKEW, mean, RESAMPLES, 7).expect("twelve values");
    near(s.lo, 1.1575, 0.01);
    near(s.hi, 1.89, 0.03);
    let md = bca(&SKEW, median, RESAMPLES, 7).expect("twelve values");
    near(md.lo, 1.11, 0.02);
    near(md.hi, 1.275, 0.02);
    assert_eq!(bca(&SKEW, mean, 999, 3), bca(&SKEW, mean, 999, 3), "one seed, one interval");
    assert_ne!(bca(&SKEW, mean, 999, 3), bca(&SKEW, mean, 999, 4));
    let flat = bca(&[2.0; 6], mean, 99, 1).expect("six values");
    assert_eq!((flat.lo, flat.value, flat.hi), (2.0, 2.0, 2.0));
}

#[test]
fn a_ratio_of_few_values_spans_all_of_them() {
    let r = ratio_of_medians(&[3.0, 2.0, 4.0], &[1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0], 1).expect("two samples");
    assert_eq!((r.value, r.lo, r.hi), (3.0, 1.0, 4.0), "2 over 2 and 4 over 1");
}

#[test]
fn ratio_of_medians_matches_a_resampling_in_numpy() {
    let r = ratio_of_medians(&A, &B, 11).expect("two samples");
    near(r.value, 0.934_235_976_789_168_1, 1e-12);
    near(r.lo, 0.907_894_74, 0.004);
    near(r.hi, 0.961_240_31, 0.006);
}

#[test]
fn t_tests_match_scipy() {
    // scipy.stats.ttest_ind(equal_var=False) and ttest_rel
    let w = welch(&A, &B).expect("varying samples");
    near(w.t, -2.637_563_685_707_969_6, 1e-9);
    near(w.df, 10.171_303_442_351_261, 1e-9);
    near(w.p, 0.024_511_506_284_039_21, 1e-7);
    let w = welch(&A, &C).expect("varying samples");
    near(w.t, 5.905_130_508_188_84, 1e-9);
    near(w.p, 0.000_102_430_007_206_315_91, 1e-6);
    let p = paired_t(&A, &B).expect("pairs");
    near(p.t, -3.065_495_110_740_285, 1e-9);
    near(p.p, 0.018_182_326_109_018_612, 1e-7);
    near(cohens_d(&A, &B).expect("varying"), -1.318_781_842_853_984_8, 1e-12);
    near(cohens_d(&A, &C).expect("varying"), 2.998_111_713_571_21, 1e-12);
}

#[test]
fn rank_test_matches_scipy() {
    // scipy.stats.mannwhitneyu(method="exact")
    near(mann_whitney(&A, &B).expect("values"), 0.010_411_810_411_810_413, 1e-9);
    near(mann_whitney(&A, &C).expect("values"), 0.001_554_001_554_001_554, 1e-9);
    assert_eq!(mann_whitney(&A, &[f64::NAN]), None);
    // method="asymptotic": ties, and samples too large to count
    let tied = mann_whitney(&[1.0, 2.0, 2.0, 3.0, 5.0, 5.0, 5.0], &[2.0, 4.0, 5.0, 6.0, 7.0, 7.0]);
    near(tied.expect("values"), 0.108_528_302_285_729_9, 1e-7);
    let long: Vec<f64> = (0..30).map(|i| f64::from(i) * 1.1).collect();
    let later: Vec<f64> = long.iter().map(|x| x + 5.05).collect();
    near(mann_whitney(&long, &later).expect("values"), 0.065_671_257_689_126_59, 1e-7);
    assert_eq!(mann_whitney(&[1.0, 1.0], &[1.0]), Some(1.0), "nothing but ties decides nothing");
}

#[test]
fn holm_matches_statsmodels() {
    // statsmodels.stats.multitest.multipletests(method="holm")
    let got = holm(&[0.01, 0.04, 0.03, 0.005, 0.5]);
    for (g, w) in got.iter().zip([0.04, 0.09, 0.09, 0.025, 0.5]) {
        near(*g, w, 1e-12);
    }
    assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0], "adjusted values stay probabilities");
}

#[test]
fn detectable_effect_matches_statsmodels() {
    // TTestIndPower().solve_power(nobs1=n, alpha=0.05, power=0.8): exact, so the approximation gets 0.3 %.
    for (n, exact) in [(5, 2.024_440), (10, 1.324_947), (20, 0.909_129), (50, 0.565_880)] {
        near(minimum_detectable_effect(1.0, n, 0.05, 0.8).expect("n >= 2"), exact, 0.003);
    }
}

#[test]
fn line_matches_linregress() {
    let fit = least_squares(&[1.0, 2.0, 3.0, 5.0, 8.0, 13.0], &[2.1, 3.9, 6.2, 9.8, 16.4, 25.7])
        .expect("six points");
    near(fit.intercept, 0.107_894_736_842_106_74, 1e-9);
    near(fit.slope, 1.982_894_736_842_104_6, 1e-12);
    near(fit.se_intercept, 0.188_791_718_619_768_54, 1e-9);
    near(fit.se_slope, 0.028_039_748_448_856_122, 1e-9);
    near(fit.r2, 0.999_200_788_608_036_5, 1e-12);
    near(fit.residual_sd, 0.282_260_611_203_944_97, 1e-9);
    near(fit.at(10.0), 19.936_842_1, 1e-8);
}

#[test]
fn drift_compares_the_first_quarter_with_the_rest() {
    let throttled = [1.0, 1.0, 1.0, 1.5, 1.5, 1.5, 1.5, 1.5];
    near(drift(&throttled).expect("eight values"), 1.0 / 1.5, 1e-12);
    assert_eq!(drift(&throttled[..7]), None);
}
