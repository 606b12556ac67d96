"""Stage `aggregate`: conversation trees and people's feedback to prompts, answers and votes."""
