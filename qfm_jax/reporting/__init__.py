"""Finished runs and audits -> tables, figures and HTML files."""

from .audit_figures import plot_accuracies as plot_accuracies
from .audit_figures import plot_differences as plot_differences
from .audit_report import audit_table as audit_table
from .audit_report import write_audit_report as write_audit_report
from .comparison_figures import plot_calibration as plot_calibration
from .comparison_figures import plot_class_scores as plot_class_scores
from .comparison_figures import plot_leaderboard as plot_leaderboard
from .comparison_figures import plot_training_curves as plot_training_curves
from .pareto import CostRecord as CostRecord
from .pareto import cost_records as cost_records
from .pareto import pareto_front as pareto_front
from .pareto import plot_pareto as plot_pareto
from .report import write_figures as write_figures
from .report import write_report as write_report
from .run_figures import plot_circuit as plot_circuit
from .run_figures import plot_confusion as plot_confusion
from .run_figures import plot_mistakes as plot_mistakes
from .style import save_figure as save_figure
from .summary import summarize as summarize
from .tables import leaderboard as leaderboard
from .tables import leaderboard_table as leaderboard_table
