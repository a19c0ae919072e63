"""A Dask scheduler whose workers are PBS jobs, for `qfm ... --scheduler ADDRESS`.

As dask_slurm.py, which says how it is used; adapt what stands in capitals. Not started
by us; see https://jobqueue.dask.org.
"""

from pathlib import Path

from dask_jobqueue import PBSCluster

if __name__ == "__main__":
    cluster = PBSCluster(
        queue="QUEUE",
        account="PROJECT",
        walltime="04:00:00",
        cores=1,  # threads of the worker: units that it runs at a time
        processes=1,
        memory="32GB",
        resource_spec="select=1:ncpus=8:ngpus=1:mem=32GB",
        interface="ib0",  # the network that nodes share: see `ip addr`
        job_script_prologue=["export QFM_DATA_DIR=FOLDER_OF_FASHION_MNIST"],
        worker_extra_args=["--resources", "GPU=1"],
    )
    cluster.adapt(maximum_jobs=16)  # as many as there are units, and none when idle
    Path("scheduler-address.txt").write_text(cluster.scheduler_address)
    print(cluster.scheduler_address, cluster.dashboard_link)
    print(cluster.job_script())
    input("Enter stops the scheduler and its jobs. ")
