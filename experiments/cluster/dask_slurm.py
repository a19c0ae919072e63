r"""A Dask scheduler whose workers are SLURM jobs, for `qfm ... --scheduler ADDRESS`.

Adapt what stands in capitals, and start it where it may stay, in tmux on a login node:

    pip install -c constraints.txt 'qfm_jax[cluster]' dask-jobqueue
    python experiments/cluster/dask_slurm.py

and beside it

    qfm audit hybrid-cnn --seeds 10 --together 1 --unit-resources GPU=1 \
        --scheduler "$(cat scheduler-address.txt)" --out DIRECTORY_THAT_ALL_NODES_SEE

A job is one worker with one GPU, which trains one unit at a time. A job that reaches
its time limit costs the unit that it runs: give it a multiple of what one takes. Who
reaches the scheduler runs code in your name (README.md): keep it inside the cluster.
Not started by us; see https://jobqueue.dask.org.
"""

from pathlib import Path

from dask_jobqueue import SLURMCluster

if __name__ == "__main__":
    cluster = SLURMCluster(
        queue="PARTITION",
        account="PROJECT",
        walltime="04:00:00",
        cores=1,  # threads of the worker: units that it runs at a time
        processes=1,
        job_cpu=8,
        memory="32GB",
        interface="ib0",  # the network that nodes share: see `ip addr`
        job_extra_directives=["--gres=gpu:1"],
        job_script_prologue=["export QFM_DATA_DIR=FOLDER_OF_FASHION_MNIST"],
        worker_extra_args=["--resources", "GPU=1"],
    )
    cluster.adapt(maximum_jobs=16)  # as many as there are units, and none when idle
    Path("scheduler-address.txt").write_text(cluster.scheduler_address)
    print(cluster.scheduler_address, cluster.dashboard_link)
    print(cluster.job_script())
    input("Enter stops the scheduler and its jobs. ")
