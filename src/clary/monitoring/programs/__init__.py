"""Programs that run inside monitoring jobs, in the server's own environment.

What an execution of a schedule tells its job, whatever its image, in the environment:

=================================== =============================================================
``analysis_type``                   ``DATA_QUALITY``, ``MODEL_QUALITY``, ``MODEL_BIAS``,
                                    ``MODEL_EXPLAINABILITY``
``dataset_source``                  folder of the data: captures lie below it as
                                    ``<endpoint>/<variant>/yyyy/mm/dd/hh/*.jsonl``, the objects of
                                    batches under their whole keys
``dataset_format``                  JSON: ``{"sagemakerCaptureJson":{"captureIndexNames":[…]}}``,
                                    ``{"csv":{"header":…}}``, ``{"json":{"lines":…}}``,
                                    ``{"parquet":{}}``
``monitoring_input_type``           ``ENDPOINT_INPUT``, ``BATCH_TRANSFORM_INPUT``
``ground_truth_source``             folder of the labels, ``yyyy/mm/dd/hh/*``; absent without
``output_path``                     folder of the reports
``start_time``, ``end_time``        the window, ``2026-01-31T09:00:00Z``
``metric_time``                     the moment that metrics are of: ``start_time``
``baseline_constraints``,           files; absent without a baseline
``baseline_statistics``
``problem_type``, ``features_attribute``, ``inference_attribute``, ``probability_attribute``,
``probability_threshold_attribute``, ``exclude_features_attribute``: as the definition has them
``record_preprocessor_script``,     files; absent without
``post_analytics_processor_script``
``publish_cloudwatch_metrics``      ``Enabled``: write ``/opt/ml/output/metrics/cloudwatch/*.jsonl``
``sagemaker_endpoint_name``, ``sagemaker_monitoring_schedule_name``
=================================== =============================================================

A Clarify configuration lies at ``/opt/ml/processing/input/config/analysis_config.json``. A check
step of a pipeline tells the name of the model to ask, which its configuration has not, in
``sagemaker_model_name``. The last words are those in ``/opt/ml/output/message``.
"""
