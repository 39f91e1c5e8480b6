"""Chooses the tests that run by default; `-m "slow or not slow"` runs all on both backends.

Compilation takes most of the time of the tests. By default, a test whose code does not depend on
the backend runs on one of them, and a test with many similar cases runs only some of these, spread
over the list.
"""

import collections
import functools
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The replication does not depend on the backend: it calls the library, whose tests run on both.
REPLICATION = {
    f"tests/replication/{path.name}"
    for path in (ROOT / "tests" / "replication").glob("test_*.py")
    if path.name not in ("test_everything.py", "test_optimizer.py", "test_sharing.py")
}
# Test files that are marked slow on one backend, because they mostly compile or do not depend on
# the backend: only the other backend runs them, and both do with `-m "slow or not slow"`.
SLOW_ON = {
    "jax": {
        "keras_aevb",  # the examples of docstrings
        "replication",
        "tests/bad_calls",
        "tests/bounds/test_aggregate_posterior_bounds.py",
        "tests/bounds/test_every_bound.py",
        "tests/bounds/test_importance_weighted.py",
        "tests/bounds/test_scheduled_bounds.py",
        "tests/bounds/test_score_function.py",
        "tests/distributions/test_discretized_logistic_mixture.py",
        "tests/distributions/test_families.py",
        "tests/distributions/test_flow.py",
        "tests/distributions/test_half_precision.py",
        "tests/distributions/test_hierarchy.py",
        "tests/distributions/test_interior.py",
        "tests/distributions/test_likelihood_table.py",
        "tests/distributions/test_mixture.py",
        "tests/distributions/test_observed.py",
        "tests/evaluation",
        "tests/marginal_likelihood/test_pareto.py",
        "tests/marginal_likelihood/test_supports.py",
        "tests/models/test_condition.py",
        "tests/models/test_export.py",
        "tests/models/test_parts.py",
        "tests/models/test_point_estimates.py",
        "tests/models/test_semi_supervised.py",
        "tests/models/test_wake_sleep.py",
        "tests/test_callbacks.py",
        "tests/test_docs.py",
        "tests/test_examples.py",
        "tests/test_gradients.py",
        "tests/test_networks.py",
        "tests/test_pictures.py",
        "tests/test_plots.py",
        "tests/test_properties.py",
        "tests/test_unconstrained.py",
    },
    "tensorflow": {
        "tests/marginal_likelihood/test_annealed_importance_sampling.py",
        "tests/marginal_likelihood/test_kernel_density.py",
        "tests/marginal_likelihood/test_log_likelihood.py",
        "tests/marginal_likelihood/test_posterior_density.py",
        "tests/models/test_backends_agree.py",  # it starts the other one
        "tests/models/test_conditions.py",
        "tests/models/test_full_vb.py",
        "tests/models/test_functional.py",
        "tests/models/test_keras_behaviour.py",
        "tests/models/test_monte_carlo_em.py",
        "tests/models/test_processes.py",
        "tests/models/test_pure_step.py",
        "tests/models/test_replicas.py",
        "tests/models/test_shared_parts.py",
        "tests/test_hmc.py",
        "tests/test_float64.py",
        "tests/test_import.py",  # TFP on JAX can do without TensorFlow
        "tests/test_readme.py",
        *REPLICATION,
    },
}
# Files of tests that matter on both backends and are slow on both. Each test runs on one backend.
# Of several cases, a third runs on each backend, and a third only with `-m "slow or not slow"`.
TAKE_TURNS = {
    "tests/bounds/test_elbo.py",
    "tests/distributions/test_likelihoods.py",
    "tests/distributions/test_posteriors.py",
    "tests/marginal_likelihood/test_importance_sampling.py",
    "tests/models/test_contract.py",
    "tests/models/test_contract_ways.py",
    "tests/models/test_data_types.py",
    "tests/models/test_errors.py",
    "tests/models/test_evaluation_of_streams.py",
    "tests/models/test_resident_fit.py",
    "tests/models/test_resume.py",
    "tests/models/test_saved_files.py",
    "tests/models/test_state_in_parts.py",
    "tests/test_outputs.py",
    "tests/test_scikit_learn.py",
}
TURNS = ("jax", "tensorflow", None)
# The number of cases that run by default, or the name of the only one, for tests with many similar
# cases.
CASES = {
    "tests/bad_calls/test_data.py": {
        "test_bad_call": 100,
    },
    "tests/bad_calls/test_methods.py": {
        "test_bad_call": 150,
    },
    "tests/bad_calls/test_streams.py": {
        "test_bad_second_batch": 10,
    },
    "tests/bounds/test_aggregate_posterior_bounds.py": {
        "test_training_lowers_a_penalty_with_its_weight": 1,
    },
    "tests/bounds/test_every_bound.py": {
        "test_ten_steps_raise_the_bound_and_a_file_restores_it": 1,
    },
    "tests/bounds/test_scheduled_bounds.py": {
        "test_a_bound_inside_another_one": 1,
        "test_beta_one_is_plain_training": 1,
        "test_evaluation_reports_the_bound": 1,
        "test_the_current_weight_is_in_the_logs": 3,
    },
    "tests/distributions/test_families.py": {
        "test_training_and_saving": 1,
    },
    "tests/distributions/test_half_precision.py": {
        "test_variational_models": 1,
    },
    "tests/distributions/test_hierarchy.py": {
        "test_the_bound_of_the_exact_posterior_is_log_p_x": 1,
        "test_the_density_at_values_that_broadcast": 1,
    },
    "tests/distributions/test_interior.py": {
        "test_bounds_and_their_gradients_are_finite": 1,
    },
    "tests/distributions/test_likelihood_table.py": {
        "test_training": 1,
    },
    "tests/distributions/test_mixture.py": {
        "test_training_and_saving": 1,
    },
    "tests/distributions/test_observed.py": {
        "test_every_algorithm_trains": 2,
    },
    "tests/marginal_likelihood/test_annealed_importance_sampling.py": {
        "test_the_mean_weight_is_p": 1,
    },
    "tests/marginal_likelihood/test_log_likelihood.py": {
        "test_arrays_out": 1,
        "test_batches_of_any_size": 2,
        "test_compiled_with_the_users_settings": 1,
    },
    "tests/marginal_likelihood/test_memory.py": {
        "test_memory_does_not_grow_with_the_number_of_samples": 1,
    },
    "tests/marginal_likelihood/test_supports.py": {
        "test_a_normal_prior_keeps_its_coordinates": 1,
        "test_log_likelihood_agrees_with_quadrature": 1,
    },
    "tests/models/test_condition.py": {
        "test_every_method": 1,
        "test_log_likelihood_given_the_condition_agrees_with_quadrature": 2,
    },
    "tests/models/test_contract.py": {
        "test_another_seed_gives_other_results": 3,
        "test_class_weights_of_streams": 3,
        "test_evaluation_is_the_mean_of_the_objective": 3,
        "test_evaluation_takes_sample_weights": 3,
        "test_sample_weights_are_weights_of_means": 6,
        "test_streams_train_like_arrays": 6,
        "test_the_same_seed_gives_the_same_results": 3,
        "test_validation_generator_loses_no_batch": 5,
    },
    "tests/models/test_contract_ways.py": {
        "test_eager_steps_train_alike": 1,
        "test_mixed_precision_trains": 1,
        "test_penalties_that_layers_add_are_in_the_loss": 4,
        "test_several_steps_in_one_execution_train_alike": 2,
        "test_layers_are_in_training_mode_only_for_updates": 2,
        "test_xla_trains_alike": 1,
    },
    "tests/models/test_data_types.py": {
        "test_types_do_not_change_numbers": 4,
    },
    "tests/models/test_full_vb.py": {
        "test_is_the_bound_of_aevb_at_the_sampled_weights": 2,
        "test_trains_means_scales_and_recognition_model": 2,
    },
    "tests/models/test_functional.py": {
        "test_symbolic_shapes": 2,
    },
    "tests/models/test_keras_behaviour.py": {
        "test_weight_prior_is_in_the_loss": 1,
    },
    "tests/models/test_monte_carlo_em.py": {
        "test_chains_sample_the_posterior_inside_the_support": 1,
        "test_factor_analysis_by_maximum_likelihood": 1,
        "test_step_size_adapts_to_the_acceptance_rate": 1,
    },
    "tests/models/test_parts.py": {
        "test_supports": 6,
        "test_values_outside_of_the_support_are_refused": 1,
    },
    "tests/models/test_point_estimates.py": {
        "test_kinds": 4,
    },
    "tests/models/test_replicas.py": {
        "test_a_diverging_model_does_not_affect_the_others": 1,
        "test_a_gpu_stacks_models_that_compute_the_same": 1,
        "test_all_models_train_after_an_error_in_a_step": 1,
        "test_batches_that_differ_between_models": 1,
        "test_different_models_equal_models_trained_alone": 1,
        "test_settings_changed_without_compile_take_effect": 1,
        "test_models_keep_their_values_if_training_is_interrupted": 1,
        "test_replicas_equal_models_trained_alone": "this device-AEVB",
    },
    "tests/models/test_resident_fit.py": {
        "test_ctrl_c_in_any_method": 3,
        "test_equals_keras_own_fit": 2,
        "test_rows_on_the_device_train_like_whole_batches": 1,
        "test_the_model_keeps_its_values_if_a_callback_fails": 3,
    },
    "tests/models/test_resume.py": {
        "test_backup_and_restore": 2,
        "test_save_load_and_continue": 2,
    },
    "tests/models/test_state_in_parts.py": {
        "test_programs_follow_changes_of_layers": 1,
    },
    "tests/models/test_wake_sleep.py": {
        "test_a_step_is_the_same_when_the_other_part_is_frozen": 1,
        "test_binary_latents_are_trained": 1,
    },
    "tests/replication/test_bad_commands.py": {
        "test_a_damaged_file": 8,
        "test_a_folder_in_the_place_of_a_file": 4,
        "test_a_run_in_training_does_not_block_other_commands": 1,
        "test_another_command_trains_a_run": 3,
        "test_a_missing_entry_or_one_of_another_type": 40,
        "test_more_training_images_than_there_are": 4,
        "test_samples_that_suffice_only_for_one_data_set": 1,
    },
    "tests/replication/test_comparison.py": {
        "test_a_changed_measurement_is_detected": 2,
    },
    "tests/replication/test_figure2.py": {
        "test_the_picture_shows_our_curves": 1,
    },
    "tests/replication/test_figure3.py": {
        "test_the_picture_shows_our_curves": 1,
    },
    "tests/replication/test_flop.py": {
        "test_the_count_equals_the_matrix_products_of_a_training_step": 1,
    },
    "tests/replication/test_runner.py": {
        "test_kill_while_the_last_files_are_written": 1,
    },
    "tests/test_docs.py": {
        "test_a_notebook_runs_with_a_small_budget": 1,
        "test_the_code_of_a_page_runs": "how-to/prior.md",
    },
    "tests/test_examples.py": {
        "test_example_runs": 1,
    },
    "tests/test_float64.py": {
        "test_no_number_is_rounded_to_float32": "policy",
    },
    "tests/test_gradients.py": {
        "test_variance_of_a_linear_model": 2,
    },
    "tests/test_properties.py": {
        "test_models_are_rebuilt_from_their_config": 1,
    },
    "tests/test_scikit_learn.py": {
        "test_scikit_learns_estimator_checks": 4,
    },
}


# Files that take longest. They begin first, so that no worker waits for another one's last file.
LONGEST = (
    "tests/models/test_replicas.py",
    "tests/models/test_contract.py",
    "tests/replication/test_runner.py",
    "tests/models/test_full_vb.py",
    "tests/models/test_monte_carlo_em.py",
    "tests/models/test_resident_fit.py",
    "tests/test_float64.py",
    "tests/test_readme.py",
    "tests/replication/test_lock.py",
    "tests/models/test_backends_agree.py",
)

LEFT_OUT = pytest.mark.slow(reason="left out by tests/selection.py")


@functools.cache
def _is_left_out(file, backend):
    return any(Path(file).is_relative_to(path) for path in SLOW_ON[backend])


def longest_first(items):
    """Sorts the collected tests: first those of the files that take longest."""
    order = {file: i for i, file in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(_file(item), len(order)))


def _file(item):
    return item.nodeid.split("::")[0]


def mark_slow(items, backend):
    """Marks the collected tests that do not run by default on a backend as slow."""
    tests = collections.defaultdict(list)
    for item in items:
        if not item.get_closest_marker("slow"):
            tests[_file(item), item.name.split("[")[0]].append(item)
    for (file, test), cases in tests.items():
        chosen = _chosen(cases, test, CASES.get(file, {}).get(test, len(cases)))
        first = zlib.crc32(f"{file}::{test}".encode())  # differs between tests
        turns = TURNS if len(chosen) > 1 else TURNS[:2]
        for i, item in enumerate(chosen):
            others_turn = file in TAKE_TURNS and turns[(first + i) % len(turns)] != backend
            left_to_others = others_turn or _is_left_out(file, backend)
            if left_to_others and not item.get_closest_marker("skipif"):  # it may run here alone
                item.add_marker(LEFT_OUT)
        for item in {*cases} - {*chosen}:
            item.add_marker(LEFT_OUT)


def _chosen(cases, test, wanted):
    """The case with a name, or a number of cases, spread over the list."""
    if isinstance(wanted, str):
        return [item for item in cases if item.name == f"{test}[{wanted}]"] or cases
    first = zlib.crc32(test.encode()) % len(cases)  # differs between tests
    cases, wanted = [*cases[first:], *cases[:first]], min(wanted, len(cases))
    return [cases[i * len(cases) // wanted] for i in range(wanted)]
