"""The planner: what is wanted and what is seen in, the single next thing to do out, with the reason in a sentence.

Pure and without memory. Whoever drives it observes everything, asks for one step, does it, and asks again; so it does
not matter when it was started, or what it was doing when it was killed.

    processes.py    one machine: members are processes
    cluster.py      Kubernetes: members are pods, which StatefulSets and a Deployment make; its decisions are in
                    objects.py, scaling.py, restarts.py and declared.py, its steps in steps.py, what it sees in view.py
"""
