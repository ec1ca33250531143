"""The ``.flow`` files of SageMaker Data Wrangler, read and written.

``documents`` reads and writes whole files, ``operators`` maps their operators to ours and back,
``trained`` their trained parameters, which are saved models of Spark (``spark_models``).
"""
